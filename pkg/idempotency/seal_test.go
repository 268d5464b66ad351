package idempotency_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/secret"
)

func TestSealer(t *testing.T) {
	answer := []byte(`{"token":"obtk_0123"}`)
	sealer := newSealer(t)
	sealed, err := sealer.Seal(mint, answer)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("obtk_")) {
		t.Error("the answer shows")
	}
	if again, err := sealer.Seal(mint, answer); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice it looks the same, %v", err)
	}

	otherKey, err := idempotency.NewSealer(secret.New("another seal key of at least 32 bytes"))
	if err != nil {
		t.Fatal(err)
	}
	ofAccount, ofIntent, ofRequest := mint, mint, otherMint()
	ofAccount.Account = "u2"
	ofIntent.Key = idempotency.Hash("u1", "other")
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1

	for _, tt := range []struct {
		name   string
		sealer *idempotency.Sealer
		intent idempotency.Intent
		sealed []byte
		want   error
	}{
		{"itself", sealer, mint, sealed, nil},
		{"the fingerprint is the claim's concern", sealer, ofRequest, sealed, nil},
		{"another account", sealer, ofAccount, sealed, idempotency.ErrSealBroken},
		{"another intent", sealer, ofIntent, sealed, idempotency.ErrSealBroken},
		{"another seal key", otherKey, mint, sealed, idempotency.ErrSealBroken},
		{"changed", sealer, mint, changed, idempotency.ErrSealBroken},
		{"cut off", sealer, mint, sealed[:len(sealed)-1], idempotency.ErrSealBroken},
		{"a nonce alone", sealer, mint, sealed[:12], idempotency.ErrSealBroken},
		{"less than a nonce", sealer, mint, sealed[:11], idempotency.ErrSealBroken},
		{"nothing", sealer, mint, nil, idempotency.ErrSealBroken},
		{"the answer in the clear", sealer, mint, answer, idempotency.ErrSealBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.sealer.Open(tt.intent, tt.sealed)
			if !errors.Is(err, tt.want) || tt.want == nil && !bytes.Equal(got, answer) || tt.want != nil && got != nil {
				t.Errorf("Open() = %q, %v; want %v", got, err, tt.want)
			}
		})
	}
	for i := range sealed {
		tampered := bytes.Clone(sealed)
		tampered[i] ^= 0x80
		if _, err := sealer.Open(mint, tampered); !errors.Is(err, idempotency.ErrSealBroken) {
			t.Errorf("byte %d changed: %v, want ErrSealBroken", i, err)
		}
	}
}

func TestNewSealerRefusesAShortKey(t *testing.T) {
	if _, err := idempotency.NewSealer(secret.New("only 31 bytes of key, not more!")); err == nil {
		t.Error("a key of 31 bytes is taken")
	}
}

// TestTamperedAnswer has the row of a claim changed behind the back of the Doer.
func TestTamperedAnswer(t *testing.T) {
	r := newRig(t)
	claim := idempotency.Claim{Intent: mint, Owner: "intruder", UpstreamKey: "0123456789abcdef0123456789abcdef"}
	if _, err := r.db.Claim(t.Context(), claim, start); err != nil {
		t.Fatal(err)
	}
	claim.Answer = []byte(`{"token":"of the intruder, in the clear"}`)
	if err := r.db.Complete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Do(t.Context(), mint, never); !errors.Is(err, idempotency.ErrSealBroken) || got != nil {
		t.Errorf("Do() = %q, %v; want ErrSealBroken", got, err)
	}
}
