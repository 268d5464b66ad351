package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/store"
)

// TestPurgeGoesOn takes one table away, and wants the others to be purged all the same.
func TestPurgeGoesOn(t *testing.T) {
	c := engines["SQLite"](t)
	db := open(t, c)
	now := time.Now()
	claim := idempotency.Claim{Owner: "owner"}
	if _, err := db.Claim(t.Context(), claim, now); err != nil {
		t.Fatal(err)
	}
	if _, err := openRaw(t, c).ExecContext(t.Context(), `DROP TABLE nonces`); err != nil {
		t.Fatal(err)
	}
	p, err := db.Purge(t.Context(), now.Add(48*time.Hour), store.Retention{})
	if err == nil || !strings.Contains(err.Error(), "purge nonces") || p.Claims != 1 {
		t.Errorf("Purge() = %+v, %v", p, err)
	}
}
