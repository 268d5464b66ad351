package signing_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/provisioner/provisioner/pkg/signing"
)

var payload = make([]byte, 512) // about the size of a provision request with its JWT

// BenchmarkBareHMAC is the baseline of the others: the same bytes through a keyed hash that is reused.
func BenchmarkBareHMAC(b *testing.B) {
	mac := hmac.New(sha256.New, []byte(secretA))
	timestamp := []byte("1700000000000.")
	var sum [sha256.Size]byte
	b.ReportAllocs()
	for b.Loop() {
		mac.Reset()
		mac.Write(timestamp)
		mac.Write(payload)
		mac.Sum(sum[:0])
	}
}

func BenchmarkSign(b *testing.B) {
	ring := newRing(b, "k1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Sign(sent, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	ring := newRing(b, "k1")
	verifier := signing.NewVerifier(ring, window, at(sent))
	h, err := ring.Sign(sent, payload)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Verify(h, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func TestVerifyAllocatesAtMostTwice(t *testing.T) {
	ring := newRing(t, "k1")
	verifier := signing.NewVerifier(ring, window, at(sent))
	h, err := ring.Sign(sent, payload)
	if err != nil {
		t.Fatal(err)
	}
	allocations := testing.AllocsPerRun(100, func() { _, err = verifier.Verify(h, payload) })
	if err != nil || allocations > 2 {
		t.Errorf("Verify() = %v with %v allocations", err, allocations)
	}
}
