package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// TestTimeOfParts has work that gets on take as long as it does, and work that does not come to its end.
func TestTimeOfParts(t *testing.T) {
	for name, row := range map[string]struct {
		each time.Duration
		want apierror.Code
	}{
		"each in time": {9 * time.Second, ""},
		"one too long": {11 * time.Second, apierror.StoreUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, err := Open(t.Context(), Config{Engine: SQLite, Path: filepath.Join(t.TempDir(), "parts.db")})
				if err != nil {
					t.Fatal(err)
				}
				err = db.txByParts(t.Context(), 10*time.Second, "work", func(ctx context.Context, _ *sql.Tx, next func()) error {
					for range 20 {
						next()
						select {
						case <-time.After(row.each):
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					return nil
				})
				if code := codeOf(err); code != row.want {
					t.Errorf("%v, want the code %q", err, row.want)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func codeOf(err error) apierror.Code {
	if err == nil {
		return ""
	}
	return apierror.From(err).Code
}
