package token_test

import (
	"crypto/elliptic"
	"testing"
)

func BenchmarkIssueAccessToken(b *testing.B) {
	now := noon
	a := newIssuer(b, mustKey(b, elliptic.P256()), &now)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := a.Issue(alice); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyAccessToken(b *testing.B) {
	now := noon
	a := newIssuer(b, mustKey(b, elliptic.P256()), &now)
	raw := mustIssue(b, a)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}
