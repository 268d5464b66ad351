package apikey_test

import (
	"testing"

	"github.com/provisioner/provisioner/pkg/apikey"
)

// BenchmarkVerifyKey is a good key that was good a moment ago: its shape and its hash.
func BenchmarkVerifyKey(b *testing.B) { benchmarkVerify(b, &feed{}) }

// BenchmarkVerifyKeyUncached is a good key with one read of SQLite.
func BenchmarkVerifyKeyUncached(b *testing.B) { benchmarkVerify(b, &feed{down: true}) }

func benchmarkVerify(b *testing.B, f *feed) {
	b.Helper()
	r := newRig(b)
	conf := r.conf
	conf.Feed = f
	s := apikey.New(conf)
	token := r.mustKeep(b, r.mustUser(b), func(*apikey.Key) {})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMalformedKey is a token that differs from the shape in its last character.
func BenchmarkMalformedKey(b *testing.B) {
	s := apikey.New(apikey.Config{Prefix: prefix, Feed: &feed{}})
	token, ctx := prefix+digits[1:]+"A", b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(ctx, token); err == nil {
			b.Fatal("taken")
		}
	}
}
