package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// opsOf returns all operations of a user's books, and wants head, count and checksum of one moment to be theirs, and their IDs to have no
// gaps.
func opsOf(ctx context.Context, db *store.DB, userID string) ([]syncstream.Op, error) {
	s, err := db.Snapshot(ctx, userID, "client")
	if err != nil || len(s.Buckets) == 0 {
		return nil, err
	}
	ops, err := db.Ops(ctx, syncstream.Page{
		UserID: userID, Stream: library.Books.Stream(), UpTo: s.Head, Ops: math.MaxInt32, Bytes: math.MaxInt32,
	})
	if err != nil {
		return nil, err
	}
	want := syncstream.Snapshot{Head: int64(len(ops)), Buckets: []syncstream.Bucket{{Stream: library.Books.Stream(), Count: int64(len(ops))}}}
	for i, op := range ops {
		want.Buckets[0].Checksum += op.Checksum
		if op.ID != int64(i)+1 {
			return nil, fmt.Errorf("operation %d has the ID %d", i+1, op.ID)
		}
	}
	if diff := cmp.Diff(want, s); diff != "" {
		return nil, fmt.Errorf("snapshot (-of the operations +got):\n%s", diff)
	}
	return ops, nil
}

func mustOps(t *testing.T, db *store.DB, userID string) []syncstream.Op {
	t.Helper()
	ops, err := opsOf(t.Context(), db, userID)
	must(t, err)
	return ops
}

// told is the operation that tells of a book.
func (d uploader) told(id int64, n int, row library.Row) syncstream.Op {
	op := syncstream.NewPut("books", ref(n).ID, library.Books.Encode(ref(n).ID, d.userID, row))
	op.ID = id
	return op
}

func toldGone(id int64, n int) syncstream.Op {
	op := syncstream.NewRemove("books", ref(n).ID)
	op.ID = id
	return op
}

func testUploadOps(t *testing.T, db *store.DB) {
	reader, other := newUploader(t, db, newUser(t, db, "reader").ID), newUploader(t, db, newUser(t, db, "other").ID)
	reader.mustUpload(t, change(1, book("A")))
	other.mustUpload(t, change(2, book("B")))
	reader.mustUpload(t, change(1, book("A again")), change(3, book("C")))
	reader.look(t, 1, 2, 3)
	reader.mustUpload(t, removal(3), change(4, book("D")))
	wantEqual(t, "operations", mustOps(t, db, reader.userID), []syncstream.Op{
		reader.told(1, 1, book("A")), reader.told(2, 1, book("A again")), reader.told(3, 3, book("C")),
		reader.told(4, 4, book("D")), toldGone(5, 3),
	})
	reader.mustUpload(t, removal(5)) // made by the same upload: nobody was told of it
	wantEqual(t, "operations after a row that came and went", len(mustOps(t, db, reader.userID)), 5)
	wantEqual(t, "what is left of it", reader.look(t, 5), []library.Found{{State: library.Deleted}})
	wantEqual(t, "operations of another", mustOps(t, db, other.userID), []syncstream.Op{other.told(1, 2, book("B"))})

	status, err := db.SyncStatus(t.Context())
	must(t, err)
	wantEqual(t, "void operations", status.Void, int64(2))
}

// testUploadInChunks uploads more than one statement takes, in no order.
func testUploadInChunks(t *testing.T, db *store.DB) {
	const n = 2500
	d := newUploader(t, db, newUser(t, db, "reader").ID)
	puts, removals, numbers := make([]library.Change, n), make([]library.Change, n), make([]int, n)
	want := make([]library.Found, n)
	for i := range n {
		numbers[i] = i * 7 % n
		row := book(fmt.Sprint(numbers[i]))
		puts[i], removals[i], want[i] = change(numbers[i], row), removal(numbers[i]), owned(row)
	}
	d.mustUpload(t, puts...)
	wantEqual(t, "rows", d.look(t, numbers...), want)
	found, err := d.upload(t.Context(), removals...)
	must(t, err)
	wantEqual(t, "rows before their removal", found, want)
	wantEqual(t, "operations", len(mustOps(t, db, d.userID)), 2*n)
	rows, err := db.Rows(t.Context(), library.Books, d.userID, "", 0)
	must(t, err)
	wantEqual(t, "rows left", len(rows), 0)
	wantEqual(t, "tombstones", d.look(t, numbers[n-1]), []library.Found{{State: library.Deleted}})
}

// testLargeRows names rows that are large in an upload that is small, and lists them: a few at a time are in memory.
func testLargeRows(t *testing.T, db *store.DB) {
	const n, few = 12, 4
	d := newUploader(t, db, newUser(t, db, "reader").ID)
	large := book(strings.Repeat("b", 3<<20))
	numbers, changes := make([]int, n), make([]library.Change, n)
	for i := range n {
		numbers[i], changes[i] = i, change(i, book("small"))
		d.mustUpload(t, change(i, large))
	}
	var read []weak.Pointer[any]
	_, err := db.Upload(t.Context(), d.intake("", changes...), func([]library.State) (library.Decision, error) {
		return library.Decision{Change: func(ref int, found library.Found) (library.Change, bool) {
			read = append(read, weak.Make(&found.Row[0]))
			runtime.GC()
			kept := 0
			for _, row := range read {
				if row.Value() != nil {
					kept++
				}
			}
			if kept > few {
				t.Errorf("at row %d, %d rows are in memory", ref, kept)
			}
			return library.Change{}, false
		}}, nil
	})
	must(t, err)
	wantEqual(t, "rows read", len(read), n)

	var listed []library.Kept
	for after := ""; ; after = listed[len(listed)-1].ID {
		page, err := db.Rows(t.Context(), library.Books, d.userID, after, n)
		must(t, err)
		if len(page) == 0 {
			break
		}
		if len(page) > few {
			t.Errorf("a page has %d rows", len(page))
		}
		listed = append(listed, page...)
	}
	wantEqual(t, "rows listed", len(listed), n)
	d.mustUpload(t, changes...)
	for i, found := range d.look(t, numbers...) {
		wantEqual(t, fmt.Sprint("row ", i), found, owned(book("small")))
	}
}

func testLedger(t *testing.T, db *store.DB) {
	user := newUser(t, db, "reader").ID
	phone, tablet := newUploader(t, db, user), newUploader(t, db, user)
	l := listenForChanges(db)
	errUndecided := errors.New("undecided")
	for _, step := range []struct {
		name     string
		uploader uploader
		digest   string
		fails    error
		answer   string
		decides  bool
		want     string
		tells    bool
	}{
		{"no decision is kept", phone, "this", errUndecided, "", true, "", false},
		{"the first", phone, "this", nil, "1", true, "1", true},
		{"the same again", phone, "this", nil, "2", false, "1", false},
		{"another", phone, "that", nil, "3", true, "3", true},
		{"the first of another session", tablet, "this", nil, "4", true, "4", true},
		{"without a digest", phone, "", nil, "5", true, "5", true},
		{"without a digest again", phone, "", nil, "6", true, "6", true},
		{"the first, once more", phone, "this", nil, "7", false, "1", false},
	} {
		c := change(1, book(step.name))
		decided := false
		got, err := db.Upload(t.Context(), step.uploader.intake(step.digest, c), func([]library.State) (library.Decision, error) {
			decided = true
			return library.Decision{Answer: []byte(step.answer), Change: making(c)}, step.fails
		})
		wantErr(t, step.name, err, step.fails)
		wantEqual(t, step.name+": decided", decided, step.decides)
		wantEqual(t, step.name+": answer", string(got), step.want)
		wantEqual(t, step.name+": told", slices.Equal(l.heard(), []string{user}), step.tells)
	}
	wantEqual(t, "operations", len(mustOps(t, db, user)), 5)
}

func testUploadOfNobody(t *testing.T, db *store.DB) {
	u := newUser(t, db, "reader")
	gone := newUploader(t, db, u.ID)
	must(t, db.DeleteUser(t.Context(), u.ID, entry(audit.Deleted)))
	l := listenForChanges(db)
	for _, id := range append(slices.Clone(strangers), gone.userID) {
		_, err := uploader{db, id, gone.sessionID}.upload(t.Context(), change(1, book("A")))
		wantErr(t, fmt.Sprintf("upload of %q", id), err, library.ErrNoUser)
	}
	there := newUploader(t, db, newUser(t, db, "other").ID)
	there.sessionID = gone.sessionID
	c := change(1, book("A"))
	_, err := db.Upload(t.Context(), there.intake("digest", c), func([]library.State) (library.Decision, error) {
		return library.Decision{Answer: []byte("{}"), Change: making(c)}, nil
	})
	wantErr(t, "upload of a session that is gone", err, library.ErrNoUser)
	wantEqual(t, "what it left", there.look(t, 1), make([]library.Found, 1))
	wantEqual(t, "told", l.heard(), []string(nil))
}

// testUploadAtOnce has eight devices of one user, then of several, upload at once while others read: operations become visible in
// the order of their IDs, with the sums of one moment.
func testUploadAtOnce(t *testing.T, replicas [2]*store.DB) {
	const goroutines, uploads = 8, 12
	one := newUser(t, replicas[0], "reader").ID
	users := []string{one, one, one, one}
	for i := range goroutines - len(users) {
		users = append(users, newUser(t, replicas[0], fmt.Sprint("other", i)).ID)
	}
	devices := make([]uploader, goroutines)
	for i, userID := range users {
		devices[i] = newUploader(t, replicas[0], userID)
		devices[i].db = replicas[i%2]
	}

	ctx, done := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for _, db := range replicas {
		readers.Go(func() { watchOps(ctx, t, db, one) })
	}
	atOnce(replicas, goroutines, func(i int, _ *store.DB) {
		for j := range uploads {
			n := i * 1000
			if _, err := devices[i].upload(ctx, change(n+1+j, book("A")), change(n, book(fmt.Sprint(j)))); err != nil {
				t.Error(err)
			}
		}
	})
	done()
	readers.Wait()
	for _, userID := range users[3:] {
		want := 2 * uploads
		if userID == one {
			want *= 4
		}
		wantEqual(t, "operations", len(mustOps(t, replicas[1], userID)), want)
	}
}

// watchOps reads a user's operations until ctx ends, and wants those that it saw to stay as they were.
func watchOps(ctx context.Context, t *testing.T, db *store.DB, userID string) {
	t.Helper()
	var seen []syncstream.Op
	for ctx.Err() == nil {
		ops, err := opsOf(ctx, db, userID)
		if ctx.Err() != nil {
			return
		}
		if err != nil || len(ops) < len(seen) || len(seen) > 0 && !cmp.Equal(seen, ops[:len(seen)]) {
			t.Errorf("%d operations after %d, %v", len(ops), len(seen), err)
			return
		}
		seen = ops
	}
}

// testOwnersAtOnce has users upload the same new books, in different orders: each becomes one user's.
func testOwnersAtOnce(t *testing.T, replicas [2]*store.DB) {
	const users, books = 6, 40
	devices := make([]uploader, users)
	for i := range devices {
		devices[i] = newUploader(t, replicas[0], newUser(t, replicas[0], fmt.Sprint(i)).ID)
		devices[i].db = replicas[i%2]
	}
	atOnce(replicas, users, func(i int, _ *store.DB) {
		for j := range books {
			n := (j*7 + i*11) % books
			pair := []library.Change{change(n, book(devices[i].userID)), change((n+1)%books, book(devices[i].userID))}
			if err := devices[i].claim(t.Context(), pair); err != nil {
				t.Error(err)
			}
		}
	})
	total := 0
	for _, d := range devices {
		rows, err := d.db.Rows(t.Context(), library.Books, d.userID, "", 0)
		must(t, err)
		for _, r := range rows {
			wantEqual(t, "a book is whose it says it is", r.Row[0], any(d.userID))
		}
		wantEqual(t, "operations", len(mustOps(t, d.db, d.userID)), len(rows))
		total += len(rows)
	}
	wantEqual(t, "books", total, books)
}

// claim makes those of the rows that are nobody's.
func (d uploader) claim(ctx context.Context, rows []library.Change) error {
	_, err := d.db.Upload(ctx, d.intake("", rows...), func([]library.State) (library.Decision, error) {
		return library.Decision{Change: func(ref int, found library.Found) (library.Change, bool) {
			return rows[ref], found.State == library.Missing
		}}, nil
	})
	return err
}
