package token_test

import (
	"crypto/elliptic"
	"testing"
)

func BenchmarkIssueAccessToken(b *testing.B) {
	now := noon
	a, _ := newIssuer(b, mustEC(b, elliptic.P256()), &now)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := a.Issue(b.Context(), alice); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyAccessToken(b *testing.B) {
	now := noon
	a, _ := newIssuer(b, mustEC(b, elliptic.P256()), &now)
	raw := mustIssue(b, a)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Verify(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}
