package library_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
)

const (
	reader   = "11111111-1111-4111-8111-111111111111"
	stranger = "22222222-2222-4222-8222-222222222222"
	session  = "33333333-3333-4333-8333-333333333333"
	bookA    = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	bookB    = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
)

var (
	noon   = time.Date(2026, 3, 20, 12, 0, 0, 123456789, time.UTC)
	device = library.Device{UserID: reader, SessionID: session}
)

// shelf is a Store in memory.
type shelf struct {
	library.Store // what is not asked for here
	rows          map[library.Ref]library.Found
	owners        map[library.Ref]string
	ledger        map[[sha256.Size]byte][]byte
	letters       []library.DeadLetter
	audit         []audit.Entry
	changes       []library.Change // of the last upload
	gone          bool             // the account is
}

func newShelf() *shelf {
	return &shelf{rows: map[library.Ref]library.Found{}, owners: map[library.Ref]string{}, ledger: map[[sha256.Size]byte][]byte{}}
}

func (s *shelf) find(userID string, ref library.Ref) library.Found {
	found := s.rows[ref]
	switch {
	case s.owners[ref] == userID, found.State == library.Missing:
		return library.Found{State: found.State, Row: slices.Clone(found.Row)}
	case found.State == library.Deleted:
		return library.Found{}
	}
	return library.Found{State: library.Foreign}
}

func (s *shelf) Upload(_ context.Context, in library.Intake, decide func([]library.State) (library.Decision, error)) ([]byte, error) {
	if s.gone {
		return nil, library.ErrNoUser
	}
	if known, ok := s.ledger[in.Digest]; ok {
		return known, nil
	}
	var states []library.State
	for _, ref := range in.Refs {
		states = append(states, s.find(in.UserID, ref).State)
	}
	d, err := decide(states)
	if err != nil {
		return nil, err
	}
	s.changes = nil
	for i, ref := range in.Refs {
		if d.Change == nil {
			break
		}
		if c, changed := d.Change(i, s.find(in.UserID, ref)); changed {
			s.make(in.UserID, c)
		}
	}
	if d.DeadLetter != nil {
		s.letters = append(s.letters, *d.DeadLetter)
	}
	if in.Digest != [sha256.Size]byte{} {
		s.ledger[in.Digest] = d.Answer
	}
	return d.Answer, nil
}

func (s *shelf) make(userID string, c library.Change) {
	s.changes = append(s.changes, c)
	s.rows[c.Ref], s.owners[c.Ref] = library.Found{State: library.Owned, Row: c.Row}, userID
	if c.Row == nil {
		s.rows[c.Ref] = library.Found{State: library.Deleted}
	}
}

func (s *shelf) DropDeadLetter(_ context.Context, id string, dropped audit.Entry) error {
	i := slices.IndexFunc(s.letters, func(l library.DeadLetter) bool { return l.ID == id })
	if i < 0 {
		return library.ErrNotFound
	}
	dropped.UserID = s.letters[i].UserID
	s.letters, s.audit = slices.Delete(s.letters, i, i+1), append(s.audit, dropped)
	return nil
}

// Add is that of Refusals.
func (s *shelf) Add(e audit.Entry) { s.audit = append(s.audit, e) }

// rig is an Uploader over a shelf, at noon.
type rig struct {
	*library.Uploader
	*shelf
	log *bytes.Buffer
}

func newRig(changes ...func(*library.Config)) rig {
	r := rig{shelf: newShelf(), log: &bytes.Buffer{}}
	c := library.Config{Store: r.shelf, Refusals: r.shelf, Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, change := range changes {
		change(&c)
	}
	r.Uploader = library.NewUploader(c)
	return r
}

// Upload is that of the Uploader.
func (r rig) Upload(ctx context.Context, from library.Device, body string) (library.Answer, error) {
	return r.Uploader.Upload(ctx, from, strings.NewReader(body))
}

// mustUpload wants an answer of exactly this JSON.
func (r rig) mustUpload(t *testing.T, body, want string) {
	t.Helper()
	r.mustUploadAs(t, device, body, want)
}

func (r rig) mustUploadAs(t *testing.T, from library.Device, body, want string) {
	t.Helper()
	got, err := r.Upload(t.Context(), from, body)
	if err != nil || string(got.JSON) != want {
		t.Fatalf("Upload(%.300s)\n = %s, %v\nwant %s", body, got.JSON, err, want)
	}
}

// book returns a column of a book, "none" for a book that is not there.
func (r rig) book(id, column string) any {
	found := r.find(reader, library.Ref{Table: library.Books, ID: id})
	if found.State != library.Owned {
		return "none"
	}
	i := slices.IndexFunc(library.Books.Columns, func(c library.Column) bool { return c.Name == column })
	return found.Row[i]
}

// wantBook wants values of a book's columns, a name and a value each.
func (r rig) wantBook(t *testing.T, id string, columns ...any) {
	t.Helper()
	for i := 0; i < len(columns); i += 2 {
		name := columns[i].(string)
		if diff := cmp.Diff(columns[i+1], r.book(id, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// batch returns the body of a transaction of elements.
func batch(elements ...string) string { return `{"batch":[` + strings.Join(elements, ",") + `]}` }

// operation returns an element of the table books; data "" is none.
func operation(opID, op, id, data string) string {
	if data == "" {
		data = "null"
	}
	return `{"op_id":` + opID + `,"op":"` + op + `","type":"books","id":"` + id + `","tx_id":22,"data":` + data + `,"metadata":null,"old":null}`
}

// quote returns s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
