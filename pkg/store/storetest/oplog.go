package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

const userBooks = "user_books"

// shelf is a user who uploads books.
type shelf struct {
	db                *store.DB
	userID, sessionID string
}

func newShelf(t *testing.T, db *store.DB, userID string) shelf {
	t.Helper()
	return shelf{db, userID, newSession(t, db, userID).ID}
}

// newID returns the ID of a book; equal numbers have equal ones.
func newID(n int) string { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)).String() }

// book returns a row with a title; all else is null or its default.
func book(title string) library.Row {
	r := make(library.Row, len(library.Books.Columns))
	for i, c := range library.Books.Columns {
		switch r[i] = c.Default; {
		case c.Name == "title":
			r[i] = title
		case c.Kind == library.Time:
			r[i] = "2026-11-21T10:30:00.123456Z"
		}
	}
	return r
}

// put keeps a book; without a title it deletes it.
func (s shelf) put(t *testing.T, id, title string) {
	t.Helper()
	c := library.Change{Ref: library.Ref{Table: library.Books, ID: id}}
	if title != "" {
		c.Row = book(title)
	}
	s.upload(t, c)
}

func (s shelf) upload(t *testing.T, changes ...library.Change) {
	t.Helper()
	in := library.Intake{UserID: s.userID, SessionID: s.sessionID, At: Now}
	for _, c := range changes {
		in.Refs = append(in.Refs, c.Ref)
	}
	_, err := s.db.Upload(t.Context(), in, func([]library.State) (library.Decision, error) {
		return library.Decision{Answer: []byte("{}"), Change: making(changes...)}, nil
	})
	must(t, err)
}

func (s shelf) snapshot(t *testing.T) syncstream.Snapshot {
	t.Helper()
	got, err := s.db.Snapshot(t.Context(), s.userID, "phone")
	must(t, err)
	return got
}

// ops returns the operations after one, page by page.
func (s shelf) ops(t *testing.T, p syncstream.Page) (pages [][]syncstream.Op) {
	t.Helper()
	p.UserID, p.Stream = s.userID, userBooks
	for {
		ops, err := s.db.Ops(t.Context(), p)
		must(t, err)
		if len(ops) == 0 {
			return pages
		}
		pages = append(pages, ops)
		p.After = ops[len(ops)-1].ID
	}
}

func (s shelf) allOps(t *testing.T) []syncstream.Op {
	t.Helper()
	return s.opsAfter(t, 0)
}

func (s shelf) opsAfter(t *testing.T, id int64) []syncstream.Op {
	t.Helper()
	return slices.Concat(s.ops(t, syncstream.Page{After: id, UpTo: math.MaxInt64, Ops: 1000, Bytes: 1 << 20})...)
}

func testSnapshot(t *testing.T, db *store.DB) {
	ctx := t.Context()
	s := newShelf(t, db, newUser(t, db, "reader").ID)
	wantEqual(t, "before anything", s.snapshot(t), syncstream.Snapshot{})

	a, b := newID(1), newID(2)
	s.put(t, a, "A")
	s.put(t, b, "B")
	s.put(t, a, "")
	_, err := db.WriteCheckpoint(ctx, s.userID, "phone", 7, Now)
	must(t, err)
	stranger := newShelf(t, db, newUser(t, db, "stranger").ID)
	stranger.put(t, newID(3), "C")
	_, err = db.WriteCheckpoint(ctx, stranger.userID, "phone", 9, Now)
	must(t, err)

	data := func(id, title string) []byte { return library.Books.Encode(id, s.userID, book(title)) }
	ops := []syncstream.Op{
		syncstream.NewPut("books", a, data(a, "A")), syncstream.NewPut("books", b, data(b, "B")), syncstream.NewRemove("books", a),
	}
	var checksum uint32
	for i := range ops {
		ops[i].ID = int64(i) + 1
		checksum += ops[i].Checksum
	}
	want := syncstream.Snapshot{
		Head: 3, WriteCheckpoint: 7, Buckets: []syncstream.Bucket{{Stream: userBooks, Checksum: checksum, Count: 3}},
	}
	wantEqual(t, "Snapshot", s.snapshot(t), want)
	wantEqual(t, "Ops", s.allOps(t), ops)
	for _, name := range []string{"tablet", "", "a\x00b", "\xff"} {
		got, err := db.Snapshot(ctx, s.userID, name)
		must(t, err)
		want.WriteCheckpoint = 0
		wantEqual(t, fmt.Sprintf("Snapshot for client %q", name), got, want)
	}

	must(t, db.SetDisabled(ctx, s.userID, Now, entry(audit.Disabled)))
	for _, id := range append(strangers, s.userID) {
		_, err := db.Snapshot(ctx, id, "phone")
		wantErr(t, fmt.Sprintf("Snapshot of %q", id), err, syncstream.ErrNoUser)
	}
	for _, id := range strangers {
		got, err := db.Ops(ctx, syncstream.Page{UserID: id, Stream: userBooks, UpTo: 9, Ops: 9, Bytes: 9})
		must(t, err)
		wantEqual(t, "Ops of a stranger", len(got), 0)
		_, err = db.Compacted(ctx, id, userBooks)
		wantErr(t, "Compacted of a stranger", err, syncstream.ErrNoUser)
	}
	for _, stream := range []string{"", "user_planets", "a\x00b", "\xff"} {
		got, err := db.Ops(ctx, syncstream.Page{UserID: s.userID, Stream: stream, UpTo: 9, Ops: 9, Bytes: 9})
		must(t, err)
		wantEqual(t, "Ops of another stream", len(got), 0)
		_, err = db.Compacted(ctx, s.userID, stream)
		wantErr(t, "Compacted of another stream", err, syncstream.ErrNoUser)
	}
}

func testOps(t *testing.T, db *store.DB) {
	s := newShelf(t, db, newUser(t, db, "reader").ID)
	var small []library.Change
	for i := range 10 {
		small = append(small, library.Change{Ref: library.Ref{Table: library.Books, ID: newID(i)}, Row: book(fmt.Sprint(i))})
	}
	s.upload(t, small...)                                   // 1 to 10
	s.put(t, newID(0), "large "+strings.Repeat("x", 1<<20)) // 11
	s.put(t, newID(1), "")                                  // 12: without data
	s.put(t, newID(2), "last")                              // 13
	size := len(s.allOps(t)[3].Data)

	for _, row := range []struct {
		name string
		page syncstream.Page
		want []int // operations of each page
	}{
		{"all at once", syncstream.Page{UpTo: 13, Ops: 100, Bytes: 10 << 20}, []int{13}},
		{"a large one ends a page", syncstream.Page{UpTo: 13, Ops: 100, Bytes: 1 << 20}, []int{11, 2}},
		{"by number", syncstream.Page{UpTo: 13, Ops: 4, Bytes: 10 << 20}, []int{4, 4, 4, 1}},
		{"by size", syncstream.Page{UpTo: 13, Ops: 100, Bytes: 3 * size}, []int{3, 3, 3, 2, 2}},
		{"by size, one byte more", syncstream.Page{UpTo: 13, Ops: 100, Bytes: 3*size + 1}, []int{4, 4, 3, 2}},
		{"at least one", syncstream.Page{After: 9, UpTo: 13, Ops: 100, Bytes: 0}, []int{1, 1, 2}},
		{"of one number", syncstream.Page{After: 9, UpTo: 13, Ops: 1, Bytes: 0}, []int{1, 1, 1, 1}},
		{"after one", syncstream.Page{After: 11, UpTo: 13, Ops: 100, Bytes: 1 << 20}, []int{2}},
		{"up to one", syncstream.Page{After: 3, UpTo: 5, Ops: 100, Bytes: 1 << 20}, []int{2}},
		{"none between", syncstream.Page{After: 5, UpTo: 5, Ops: 100, Bytes: 1 << 20}, nil},
		{"none after the last", syncstream.Page{After: 13, UpTo: math.MaxInt64, Ops: 100, Bytes: 1 << 20}, nil},
	} {
		var got []int
		next := row.page.After
		for _, page := range s.ops(t, row.page) {
			got = append(got, len(page))
			for _, op := range page {
				if next++; op.ID != next {
					t.Errorf("%s: operation %d, want %d", row.name, op.ID, next)
				}
			}
		}
		wantEqual(t, row.name, got, row.want)
	}
}

func testWriteCheckpoint(t *testing.T, db *store.DB) {
	u := newUser(t, db, "reader").ID
	other := newUser(t, db, "other").ID
	for _, step := range []struct {
		name         string
		user, client string
		atLeast      int64
		want         int64
	}{
		{"the first step", u, "phone", 0, 1},
		{"the next", u, "phone", 0, 2},
		{"raised", u, "phone", 7, 7},
		{"never lowered", u, "phone", 3, 7},
		{"stepped on from there", u, "phone", 0, 8},
		{"another client", u, "tablet", 0, 1},
		{"a new one raised", u, "desk", 5, 5},
		{"another user's of that name", other, "phone", 0, 1},
		{"one without a name", u, "", 0, 1},
		{"one with a strange name", u, "a\x00b\xff", 0, 1},
		{"and again", u, "a\x00b\xff", 0, 2},
		{"to the end", other, "phone", math.MaxInt64, math.MaxInt64},
		{"where it stays", other, "phone", 0, math.MaxInt64},
	} {
		got, err := db.WriteCheckpoint(t.Context(), step.user, step.client, step.atLeast, Now)
		must(t, err)
		wantEqual(t, step.name, got, step.want)
		s, err := db.Snapshot(t.Context(), step.user, step.client)
		must(t, err)
		wantEqual(t, step.name+", in a snapshot", s.WriteCheckpoint, step.want)
	}
	must(t, db.SetDisabled(t.Context(), u, Now, entry(audit.Disabled)))
	for _, id := range append(strangers, u) {
		for _, client := range []string{"phone", "new"} {
			_, err := db.WriteCheckpoint(t.Context(), id, client, 0, Now)
			wantErr(t, fmt.Sprintf("WriteCheckpoint(%q, %q)", id, client), err, syncstream.ErrNoUser)
		}
	}
}

// device is what a device makes of operations.
type device struct {
	rows     map[string][]byte
	sums     map[string]uint32 // of the operations that rows came with
	rest     uint32            // of all others
	position int64
}

func newDevice() *device { return &device{rows: map[string][]byte{}, sums: map[string]uint32{}} }

func (d *device) clone() *device {
	return &device{rows: maps.Clone(d.rows), sums: maps.Clone(d.sums), rest: d.rest, position: d.position}
}

// apply does with operations what the protocol says.
func (d *device) apply(t *testing.T, ops []syncstream.Op) {
	t.Helper()
	forget := func(id string) {
		d.rest += d.sums[id]
		delete(d.rows, id)
		delete(d.sums, id)
	}
	for _, op := range ops {
		if op.ID <= d.position {
			t.Fatalf("operation %d after %d", op.ID, d.position)
		}
		d.position = op.ID
		switch op.Kind {
		case syncstream.Put:
			forget(op.ObjectID)
			d.rows[op.ObjectID], d.sums[op.ObjectID] = op.Data, op.Checksum
		case syncstream.Remove:
			forget(op.ObjectID)
			d.rest += op.Checksum
		case syncstream.Move:
			d.rest += op.Checksum
		case syncstream.Clear:
			clear(d.rows)
			clear(d.sums)
			d.rest = op.Checksum
		}
		if (op.Kind == syncstream.Move || op.Kind == syncstream.Clear) && (op.Table != "" || op.ObjectID != "" || op.Data != nil) {
			t.Errorf("of what is void there is left: %+v", op)
		}
	}
}

func (d *device) checksum() uint32 {
	sum := d.rest
	for _, s := range d.sums {
		sum += s
	}
	return sum
}

// want wants a device to have a shelf's books, and its checksum to be the bucket's.
func (d *device) want(t *testing.T, what string, s shelf) {
	t.Helper()
	kept, err := s.db.Rows(t.Context(), library.Books, s.userID, "", 0)
	must(t, err)
	rows := make(map[string][]byte)
	for _, k := range kept {
		rows[k.ID] = library.Books.Encode(k.ID, s.userID, k.Row)
	}
	if len(d.rows) != len(rows) {
		t.Errorf("%s: %d rows on the device, want %d", what, len(d.rows), len(rows))
	}
	for id, data := range rows {
		if !bytes.Equal(d.rows[id], data) {
			t.Errorf("%s: row %s on the device:\n%s\nwant\n%s", what, id, d.rows[id], data)
		}
	}
	if bucket := s.snapshot(t).Buckets[0]; d.checksum() != bucket.Checksum {
		t.Errorf("%s: checksum %d on the device, want %d", what, d.checksum(), bucket.Checksum)
	}
}
