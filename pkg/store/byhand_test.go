package store_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/store/storetest"
)

func TestByHand(t *testing.T) {
	for name, config := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunByHand(t, func(t *testing.T) (a, b *store.DB, run func(statement string)) {
				t.Helper()
				c := config(t)
				a, b = open(t, c), open(t, c)
				raw := openRaw(t, c)
				return a, b, func(statement string) {
					t.Helper()
					if _, err := raw.ExecContext(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

// openRaw opens a database with its bare driver.
func openRaw(t testing.TB, c store.Config) *sql.DB {
	t.Helper()
	driver, source := "sqlite", "file:"+c.Path+"?_pragma=busy_timeout(5000)"
	if c.Engine == store.Postgres {
		driver, source = "pgx", c.URL.Reveal()
	}
	raw, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}
