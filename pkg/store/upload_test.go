package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

// newIntake returns an upload of a new user that names rows.
func newIntake(t testing.TB, db *store.DB, refs ...library.Ref) library.Intake {
	t.Helper()
	now := time.Now().UTC()
	u := account.User{ID: uuid.NewString(), Email: uuid.NewString() + "@example.com", DisplayName: "Reader", Plan: "new", CreatedAt: now}
	s := session.Session{ID: uuid.NewString(), UserID: u.ID, ClientType: "web", CreatedAt: now, LastSeenAt: now, ExpiresAt: now, EndsAt: now}
	if err := db.CreateUser(t.Context(), account.Addition{User: u, Session: &s}); err != nil {
		t.Fatal(err)
	}
	return library.Intake{UserID: u.ID, SessionID: s.ID, Refs: refs, At: now}
}

// bareBook returns a row with nothing but what must be there.
func bareBook() library.Row {
	row := make(library.Row, len(library.Books.Columns))
	for i, c := range library.Books.Columns {
		if row[i] = c.Default; c.Kind == library.Time {
			row[i] = "2026-11-21T10:30:00.123456Z"
		}
	}
	return row
}

// making returns the function of a Decision that makes changes, whatever is there: one of each of the upload's refs.
func making(changes ...library.Change) func(int, library.Found) (library.Change, bool) {
	return func(ref int, _ library.Found) (library.Change, bool) { return changes[ref], true }
}

// TestUploadBeginsAnew has another user make a row between the look for it and the decision, once, then each time. (On SQLite nobody
// else writes meanwhile.)
func TestUploadBeginsAnew(t *testing.T) {
	db := open(t, engines["Postgres"](t))
	ref := library.Ref{Table: library.Books, ID: uuid.NewString()}
	put := library.Decision{Change: making(library.Change{Ref: ref, Row: bareBook()})}
	in := newIntake(t, db, ref)
	var seen []library.State
	_, err := db.Upload(t.Context(), in, func(found []library.State) (library.Decision, error) {
		seen = append(seen, found[0])
		if found[0] == library.Foreign {
			return library.Decision{}, nil
		}
		_, err := db.Upload(t.Context(), newIntake(t, db, ref), func([]library.State) (library.Decision, error) { return put, nil })
		return put, err
	})
	if diff := cmp.Diff([]library.State{library.Missing, library.Foreign}, seen); err != nil || diff != "" {
		t.Errorf("Upload() = %v, states (-want +got):\n%s", err, diff)
	}

	tries := 0
	_, err = db.Upload(t.Context(), in, func([]library.State) (library.Decision, error) {
		tries++
		return put, nil
	})
	if apierror.From(err).Code != apierror.StoreUnavailable || tries != 3 {
		t.Errorf("a row that is always another's: %v after %d tries", err, tries)
	}
	if rows, err := db.Rows(t.Context(), library.Books, in.UserID, "", 0); err != nil || len(rows) > 0 {
		t.Errorf("rows %v, %v", rows, err)
	}
}
