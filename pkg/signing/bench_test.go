package signing_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

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

// BenchmarkSignAgainstBareHMAC reports what signing costs as a multiple of the bare HMAC of the same bytes: the median of
// rounds that take turns, so that whatever else the machine does falls on both.
func BenchmarkSignAgainstBareHMAC(b *testing.B) {
	const calls = 200
	ring := newRing(b, "k1")
	mac := hmac.New(sha256.New, []byte(secretA))
	timestamp := []byte("1700000000000.")
	var sum [sha256.Size]byte

	var ratios []float64
	for b.Loop() {
		start := time.Now()
		for range calls {
			mac.Reset()
			mac.Write(timestamp)
			mac.Write(payload)
			mac.Sum(sum[:0])
		}
		bare := time.Since(start)
		start = time.Now()
		for range calls {
			if _, err := ring.Sign(sent, payload); err != nil {
				b.Fatal(err)
			}
		}
		ratios = append(ratios, float64(time.Since(start))/float64(bare))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-bare")
}
