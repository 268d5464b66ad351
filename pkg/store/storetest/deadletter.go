package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
)

// letter returns a dead letter of a device, received that long after Now.
func (d uploader) letter(after time.Duration, body string) library.DeadLetter {
	return library.DeadLetter{
		ID: uuid.NewString(), UserID: d.userID, SessionID: d.sessionID, ReceivedAt: Now.Add(after),
		Rejected: []byte(`[{"code":"FORBIDDEN"}]`), Body: []byte(body), Size: int64(len(body)),
	}
}

// reject uploads what is kept as a dead letter.
func (d uploader) reject(ctx context.Context, l library.DeadLetter) error {
	_, err := d.db.Upload(ctx, d.intake(l.ID), func([]library.State) (library.Decision, error) {
		return library.Decision{Answer: []byte("{}"), DeadLetter: &l}, nil
	})
	return err
}

// heads returns letters without their bodies.
func heads(letters ...library.DeadLetter) []library.DeadLetter {
	var all []library.DeadLetter
	for _, l := range letters {
		l.Body = nil
		all = append(all, l)
	}
	return all
}

func testDeadLetters(t *testing.T, db *store.DB) {
	ctx := t.Context()
	reader, other := newUploader(t, db, newUser(t, db, "reader").ID), newUploader(t, db, newUser(t, db, "other").ID)
	first, second, third := reader.letter(0, "\x00\xff"), other.letter(time.Second, `{"batch":`), reader.letter(2*time.Second, "{}")
	second.Size = 100
	changes := listenForChanges(db)
	for _, l := range []library.DeadLetter{second, third, first} {
		d := reader
		if l.UserID == other.userID {
			d = other
		}
		must(t, d.reject(ctx, l))
	}
	wantEqual(t, "told", changes.heard(), []string(nil))

	for _, row := range []struct {
		name    string
		letters library.Letters
		want    []library.DeadLetter
		err     error
	}{
		{"all", library.Letters{}, heads(third, second, first), nil},
		{"a page", library.Letters{Limit: 2}, heads(third, second), nil},
		{"the next page", library.Letters{Before: second.ID, Limit: 2}, heads(first), nil},
		{"a user's", library.Letters{UserID: reader.userID}, heads(third, first), nil},
		{"a user's next page", library.Letters{UserID: reader.userID, Before: third.ID}, heads(first), nil},
		{"before another user's", library.Letters{UserID: reader.userID, Before: second.ID}, nil, library.ErrNotFound},
		{"before an unknown one", library.Letters{Before: "\x00"}, nil, library.ErrNotFound},
		{"a stranger's", library.Letters{UserID: strangers[1]}, nil, nil},
	} {
		got, err := db.DeadLetters(ctx, row.letters)
		wantErr(t, row.name, err, row.err)
		wantEqual(t, row.name, got, row.want)
	}
	testDeadLetter(t, db, second, reader.userID)
}

// testDeadLetter reads and drops one, that is not the other user's.
func testDeadLetter(t *testing.T, db *store.DB, l library.DeadLetter, otherID string) {
	t.Helper()
	ctx := t.Context()
	for _, userID := range []string{"", l.UserID} {
		got, err := db.DeadLetter(ctx, userID, l.ID)
		must(t, err)
		wantEqual(t, "letter", got, l)
	}
	_, err := db.DeadLetter(ctx, otherID, l.ID)
	wantErr(t, "another user's letter", err, library.ErrNotFound)
	for _, id := range strangers {
		_, err := db.DeadLetter(ctx, "", id)
		wantErr(t, "letter "+id, err, library.ErrNotFound)
		wantErr(t, "drop "+id, db.DropDeadLetter(ctx, id, entry(audit.Kind("dropped"))), library.ErrNotFound)
	}

	dropped := entry(audit.Kind("dropped"))
	must(t, db.DropDeadLetter(ctx, l.ID, dropped))
	dropped.UserID = l.UserID
	wantAudit(t, db, l.UserID, dropped)
	wantErr(t, "drop again", db.DropDeadLetter(ctx, l.ID, dropped), library.ErrNotFound)
	_, err = db.DeadLetter(ctx, "", l.ID)
	wantErr(t, "a dropped letter", err, library.ErrNotFound)
}

func testDeadLetterCaps(t *testing.T, db *store.DB) {
	ctx := t.Context()
	many, large := newUploader(t, db, newUser(t, db, "many").ID), newUploader(t, db, newUser(t, db, "large").ID)
	const seconds = time.Second
	for i := range library.MaxLetters + 5 {
		must(t, many.reject(ctx, many.letter(time.Duration(i)*seconds, "{}")))
	}
	quarter := string(bytes.Repeat([]byte("x"), library.MaxLetterBytes/4))
	for i := range 6 {
		must(t, large.reject(ctx, large.letter(time.Duration(i)*seconds, quarter)))
	}
	for _, row := range []struct {
		name   string
		userID string
		count  int
		oldest time.Duration
	}{
		{"at most so many", many.userID, library.MaxLetters, 5 * seconds},
		{"at most so many bytes, with the reasons", large.userID, 3, 3 * seconds},
	} {
		got, err := db.DeadLetters(ctx, library.Letters{UserID: row.userID})
		must(t, err)
		wantEqual(t, row.name, len(got), row.count)
		wantEqual(t, row.name+": the oldest", got[len(got)-1].ReceivedAt, Now.Add(row.oldest))
	}
	huge := large.letter(time.Hour, "{}")
	huge.Rejected = bytes.Repeat([]byte("x"), library.MaxLetterBytes+1)
	must(t, large.reject(ctx, huge))
	got, err := db.DeadLetters(ctx, library.Letters{UserID: large.userID})
	must(t, err)
	wantEqual(t, "a huge one alone", len(got), 1)
}
