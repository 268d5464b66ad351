//go:build !race

package signing_test

import (
	"testing"

	"github.com/provisioner/provisioner/pkg/signing"
)

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
