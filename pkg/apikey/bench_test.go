package apikey_test

import (
	"testing"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/test/postgres"
)

// BenchmarkVerifyKey is a good key that was good a moment ago: its shape and its hash.
func BenchmarkVerifyKey(b *testing.B) { benchmarkVerify(b, newRig(b), &feed{}) }

// BenchmarkVerifyKeyUncached is a good key with one read of the store.
func BenchmarkVerifyKeyUncached(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { b.Helper(); benchmarkVerify(b, newRig(b), &feed{down: true}) })
	b.Run("postgres", func(b *testing.B) {
		b.Helper()
		r := newRigOn(b, store.Config{Engine: store.Postgres, URL: secret.New(postgres.NewDatabase(b))})
		benchmarkVerify(b, r, &feed{down: true})
	})
}

func benchmarkVerify(b *testing.B, r rig, f *feed) {
	b.Helper()
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
