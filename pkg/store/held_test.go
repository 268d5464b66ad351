package store_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/store"
)

// TestUpkeepBesideLongUpload has one user's upload take longer than anybody waits: the buckets of another are looked after all the same.
// (On SQLite a writer keeps everybody waiting.)
func TestUpkeepBesideLongUpload(t *testing.T) {
	c := engines["Postgres"](t)
	separator := "?"
	if strings.Contains(c.URL.Reveal(), "?") {
		separator = "&"
	}
	c.URL = secret.New(c.URL.Reveal() + separator + "lock_timeout=50ms")
	db := open(t, c)
	raw := openRaw(t, c)
	busy, other := mustVoid(t, db, 3), mustVoid(t, db, 2) // that with the most is the first
	forgetOperations(t, raw)
	tx, err := raw.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `UPDATE sync_heads SET head = head WHERE user_id = $1`, busy); err != nil {
		t.Fatal(err)
	}

	if done, err := db.Compact(t.Context(), 1); err != nil || done.Buckets != 1 {
		t.Errorf("Compact() = %+v, %v beside the upload of %s", done, err, busy)
	}
	if told, err := db.Backfill(t.Context(), 100); err != nil || told != 1 {
		t.Errorf("Backfill() = %d, %v, and one row of %s has no operation", told, err, other)
	}
}

// mustVoid makes operations void, and a row without operation, of a user whom it returns.
func mustVoid(t *testing.T, db *store.DB, void int) (userID string) {
	t.Helper()
	ref := library.Ref{Table: library.Books, ID: uuid.NewString()}
	in := newIntake(t, db, ref)
	for i := range void + 1 {
		row := bareBook()
		row[0] = strings.Repeat("a", i+1)
		_, err := db.Upload(t.Context(), in, func([]library.State) (library.Decision, error) {
			return library.Decision{Change: making(library.Change{Ref: ref, Row: row})}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return in.UserID
}

// forgetOperations leaves each user a row more, without operation.
func forgetOperations(t *testing.T, raw *sql.DB) {
	t.Helper()
	const add = `INSERT INTO books (book_id, owner_user_id, title) SELECT gen_random_uuid(), user_id, 'By hand' FROM sync_heads`
	if _, err := raw.ExecContext(t.Context(), add); err != nil {
		t.Fatal(err)
	}
}
