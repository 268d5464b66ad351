package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
)

// uploader is a session of a user that uploads.
type uploader struct {
	db                *store.DB
	userID, sessionID string
}

// newUploader returns one of the user, with a session of its own.
func newUploader(t *testing.T, db *store.DB, userID string) uploader {
	t.Helper()
	return uploader{db, userID, newSession(t, db, userID).ID}
}

// ref names a book, the same for the same number.
func ref(n int) library.Ref {
	return library.Ref{Table: library.Books, ID: fmt.Sprintf("b0000000-0000-4000-8000-%012x", n)}
}

// extreme returns a book that has a value in every column: the largest or strangest, or the smallest.
func extreme(largest bool) library.Row {
	row := make(library.Row, len(library.Books.Columns))
	for i, c := range library.Books.Columns {
		small, large := extremes(c)
		if row[i] = small; largest {
			row[i] = large
		}
	}
	return row
}

func extremes(c library.Column) (small, large any) {
	switch c.Kind {
	case library.Integer:
		return int64(math.MinInt32), int64(math.MaxInt32)
	case library.Real:
		return -math.MaxFloat64, 0.1 + 0.2
	case library.Boolean:
		return int64(0), int64(1)
	case library.Time:
		return "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"
	case library.List:
		return "[]", `["a", "b \" \\ \n ü 📚"]`
	case library.Object:
		return "{}", `{"a": 1.50, "b": [true, null], "aa": {"x": "]}"}}`
	case library.Text:
	}
	return "", strings.Repeat("ü📚'\"\\\n\t{},NULL", c.MaxLen/16)
}

// change returns what puts a book.
func change(n int, row library.Row) library.Change { return library.Change{Ref: ref(n), Row: row} }

// removal returns what deletes a book.
func removal(n int) library.Change { return library.Change{Ref: ref(n)} }

// intake is an upload with the digest of a text, "" for none, that names the rows of changes.
func (d uploader) intake(digest string, changes ...library.Change) library.Intake {
	in := library.Intake{UserID: d.userID, SessionID: d.sessionID, At: Now}
	if digest != "" {
		in.Digest = sha256.Sum256([]byte(digest))
	}
	for _, c := range changes {
		in.Refs = append(in.Refs, c.Ref)
	}
	return in
}

// making returns the function of a Decision that makes changes, whatever is there: one of each of the upload's refs.
func making(changes ...library.Change) func(int, library.Found) (library.Change, bool) {
	return func(ref int, _ library.Found) (library.Change, bool) { return changes[ref], true }
}

// upload has the changes made, whatever is there, and returns what was.
func (d uploader) upload(ctx context.Context, changes ...library.Change) (found []library.Found, err error) {
	_, err = d.db.Upload(ctx, d.intake("", changes...), func(states []library.State) (library.Decision, error) {
		found = make([]library.Found, len(states))
		return library.Decision{Change: func(ref int, there library.Found) (library.Change, bool) {
			found[ref] = there
			return changes[ref], true
		}}, nil
	})
	return found, err
}

// look returns what there is of books, and changes nothing.
func (d uploader) look(t *testing.T, numbers ...int) []library.Found {
	t.Helper()
	in := d.intake("")
	for _, n := range numbers {
		in.Refs = append(in.Refs, ref(n))
	}
	found := make([]library.Found, len(numbers))
	_, err := d.db.Upload(t.Context(), in, func(states []library.State) (library.Decision, error) {
		return library.Decision{Change: func(ref int, there library.Found) (library.Change, bool) {
			if found[ref] = there; there.State != states[ref] {
				t.Errorf("row %d is %d, and was %d", ref, there.State, states[ref])
			}
			return library.Change{}, false
		}}, nil
	})
	must(t, err)
	return found
}

// mustUpload has changes made.
func (d uploader) mustUpload(t *testing.T, changes ...library.Change) {
	t.Helper()
	_, err := d.upload(t.Context(), changes...)
	must(t, err)
}

func owned(row library.Row) library.Found { return library.Found{State: library.Owned, Row: row} }

func testFound(t *testing.T, db *store.DB) {
	reader, other := newUploader(t, db, newUser(t, db, "reader").ID), newUploader(t, db, newUser(t, db, "other").ID)
	small, large := extreme(false), extreme(true)
	found, err := reader.upload(t.Context(), change(3, small), change(1, large), change(2, book("Middlemarch")))
	must(t, err)
	wantEqual(t, "before there is anything", found, make([]library.Found, 3))

	foreign, gone := library.Found{State: library.Foreign}, library.Found{State: library.Deleted}
	missing := library.Found{}
	wantEqual(t, "the reader's own", reader.look(t, 2, 4, 1, 3),
		[]library.Found{owned(book("Middlemarch")), missing, owned(large), owned(small)})
	wantEqual(t, "another's", other.look(t, 4, 3, 2), []library.Found{missing, foreign, foreign})

	reader.mustUpload(t, change(1, small), removal(2), change(3, large))
	wantEqual(t, "after a change", reader.look(t, 1, 2, 3), []library.Found{owned(small), gone, owned(large)})
	wantEqual(t, "to another a deleted one", other.look(t, 2), []library.Found{missing})

	other.mustUpload(t, change(2, book("Mine now")))
	wantEqual(t, "that another has made since", reader.look(t, 2), []library.Found{gone})
	wantEqual(t, "theirs", other.look(t, 2, 1), []library.Found{owned(book("Mine now")), foreign})
	wantEqual(t, "nothing", reader.look(t), []library.Found{})
}

func testRows(t *testing.T, db *store.DB) {
	reader, other := newUploader(t, db, newUser(t, db, "reader").ID), newUploader(t, db, newUser(t, db, "other").ID)
	other.mustUpload(t, change(2, book("2")), change(9, book("9")))
	reader.mustUpload(t, change(5, book("5")), change(1, extreme(true)), change(3, book("3")))
	all := []library.Kept{
		{ID: ref(1).ID, Row: extreme(true)}, {ID: ref(3).ID, Row: book("3")}, {ID: ref(5).ID, Row: book("5")},
	}
	for _, row := range []struct {
		name, userID, after string
		limit               int
		want                []library.Kept
	}{
		{"all", reader.userID, "", 0, all},
		{"a page", reader.userID, "", 2, all[:2]},
		{"the next page", reader.userID, ref(3).ID, 2, all[2:]},
		{"after a row of another", reader.userID, ref(2).ID, 0, all[1:]},
		{"after the last", reader.userID, ref(5).ID, 0, nil},
		{"after no ID", reader.userID, "\x00", 0, nil},
		{"of a stranger", strangers[3], "", 0, nil},
		{"of nobody", strangers[1], "", 0, nil},
	} {
		got, err := db.Rows(t.Context(), library.Books, row.userID, row.after, row.limit)
		must(t, err)
		wantEqual(t, row.name, got, row.want)
	}
}
