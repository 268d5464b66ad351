package apikey_test

import (
	"testing"

	"github.com/provisioner/provisioner/pkg/apikey"
)

// BenchmarkVerifyKey is a good key: its shape, its hash and one read of SQLite.
func BenchmarkVerifyKey(b *testing.B) {
	r := newRig(b)
	token := r.mustKeep(b, r.mustUser(b), func(k *apikey.Key) { k.LastUsedAt = start })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMalformedKey is a token that differs from the shape in its last character.
func BenchmarkMalformedKey(b *testing.B) {
	s := apikey.New(apikey.Config{Prefix: prefix})
	token, ctx := prefix+digits[1:]+"A", b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(ctx, token); err == nil {
			b.Fatal("taken")
		}
	}
}
