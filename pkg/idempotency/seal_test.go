package idempotency_test

import (
	"errors"
	"testing"

	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/seal"
)

// TestWhat holds sealed answers apart: one of another account or intent cannot be opened.
func TestWhat(t *testing.T) {
	ofAccount, ofIntent := mint, mint
	ofAccount.Account = "u2"
	ofIntent.Key = idempotency.Hash("u1", "other")
	if mint.What() == ofAccount.What() || mint.What() == ofIntent.What() {
		t.Error("two intents have one name")
	}
	if mint.What() != otherMint().What() {
		t.Error("the fingerprint, which is the claim's concern, is in the name")
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
	if got, err := r.Do(t.Context(), mint, never); !errors.Is(err, seal.ErrBroken) || got != nil {
		t.Errorf("Do() = %q, %v; want ErrSealBroken", got, err)
	}
}
