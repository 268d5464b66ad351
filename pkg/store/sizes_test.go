package store_test

import (
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
)

// TestSizes counts every table that is purged, on both engines: a table that was renamed would be an error in one and missing in the other.
func TestSizes(t *testing.T) {
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			c := engine(t)
			db := open(t, c)
			if _, err := db.Claim(t.Context(), idempotency.Claim{Owner: "owner"}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if name == "Postgres" { // whose estimate is made by this
				if _, err := openRaw(t, c).ExecContext(t.Context(), `ANALYZE`); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := db.Sizes(t.Context())
			if err != nil || len(rows) != 14 || rows["idempotency_claims"] != 1 || rows["nonces"] != 0 {
				t.Errorf("Sizes() = %v (%d), %v", rows, len(rows), err)
			}
		})
	}
}
