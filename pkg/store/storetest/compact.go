package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// testCompact wants devices that stopped anywhere in a history to come to the same rows and checksum, however often the history was
// made shorter since.
func testCompact(t *testing.T, db *store.DB) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("history ", seed), func(t *testing.T) {
			s := newShelf(t, db, newUser(t, db, fmt.Sprint("reader", seed)).ID)
			author := author{shelf: s, random: rand.New(rand.NewPCG(seed, 0)), books: map[string]bool{}}
			var stopped []*device
			for round := range 3 {
				author.write(t, 40)
				stopped = append(stopped, stops(t, s.allOps(t))...)
				before := s.snapshot(t)
				_, err := db.Compact(t.Context(), 1)
				must(t, err)
				wantCompacted(t, s, before)
				for _, d := range stopped {
					resumed := d.clone()
					resumed.apply(t, s.opsAfter(t, d.position))
					resumed.want(t, fmt.Sprintf("round %d, after %d", round, d.position), s)
				}
			}
		})
	}
}

// author writes and drops books at random.
type author struct {
	shelf
	random *rand.Rand
	books  map[string]bool // false for one that was dropped
}

func (a *author) write(t *testing.T, times int) {
	t.Helper()
	for i := range times {
		id := uuid.NewSHA1(uuid.MustParse(a.userID), []byte{byte(a.random.IntN(8))}).String() // a few books, many times
		exists, known := a.books[id]
		switch {
		case known && !exists: // what was dropped does not come back
		case exists && a.random.IntN(12) == 0:
			a.books[id] = false
			a.put(t, id, "")
		default:
			a.books[id] = true
			a.put(t, id, fmt.Sprint("edition ", i))
		}
	}
}

// stops returns devices that got the first of operations, one for each number of them.
func stops(t *testing.T, ops []syncstream.Op) []*device {
	t.Helper()
	all := []*device{newDevice()}
	for i := range ops {
		d := all[i].clone()
		d.apply(t, ops[i:i+1])
		all = append(all, d)
	}
	return all
}

// wantCompacted wants a bucket that was compacted to say so, to have as many operations as it counts, and the same checksum as before.
func wantCompacted(t *testing.T, s shelf, before syncstream.Snapshot) {
	t.Helper()
	after := s.snapshot(t)
	bucket, ops := after.Buckets[0], s.allOps(t)
	wantEqual(t, "head", after.Head, before.Head)
	wantEqual(t, "checksum", bucket.Checksum, before.Buckets[0].Checksum)
	wantEqual(t, "count", bucket.Count, int64(len(ops)))
	wantEqual(t, "compacted", bucket.Compacted, before.Head)
	compacted, err := s.db.Compacted(t.Context(), s.userID, userBooks)
	must(t, err)
	wantEqual(t, "Compacted", compacted, before.Head)

	kinds := map[syncstream.Kind]int{}
	for _, op := range ops {
		kinds[op.Kind]++
	}
	rows, err := s.db.Rows(t.Context(), library.Books, s.userID, "", 0)
	must(t, err)
	wantEqual(t, "PUTs", kinds[syncstream.Put], len(rows))
	if i := slices.IndexFunc(ops, func(op syncstream.Op) bool { return op.Kind == syncstream.Put }); i > 1 {
		t.Errorf("%d operations before the first PUT", i)
	}
	again, err := s.db.Compact(t.Context(), 1)
	must(t, err)
	wantEqual(t, "compacted again", again, syncstream.Compacted{})
}

// testCompactInChunks has more void operations than one transaction looks at.
func testCompactInChunks(t *testing.T, db *store.DB) {
	const books, times = 700, 4
	s := newShelf(t, db, newUser(t, db, "reader").ID)
	for i := range times {
		s.uploadMany(t, books, fmt.Sprint("edition ", i))
	}
	before := s.snapshot(t)
	for _, step := range []struct {
		name string
		void int64
		want syncstream.Compacted
	}{
		{"too few are void", books*(times-1) + 1, syncstream.Compacted{}},
		{"all that are", books * (times - 1), syncstream.Compacted{Buckets: 1, Moved: books * (times - 1), Cleared: books*(times-1) - 1}},
		{"none is left", 0, syncstream.Compacted{}},
	} {
		got, err := db.Compact(t.Context(), step.void)
		must(t, err)
		wantEqual(t, step.name, got, step.want)
	}
	wantCompacted(t, s, before)

	s.uploadMany(t, books, "")
	status, err := db.SyncStatus(t.Context())
	must(t, err)
	wantEqual(t, "status", status, syncstream.Status{Users: 1, Buckets: 1, Ops: 2*books + 1, Void: books})
	_, err = db.Compact(t.Context(), 1)
	must(t, err)
	ops := s.allOps(t)
	wantEqual(t, "of an empty library", ops, []syncstream.Op{
		{ID: books * (times + 1), Kind: syncstream.Clear, Checksum: s.snapshot(t).Buckets[0].Checksum},
	})
	status, err = db.SyncStatus(t.Context())
	must(t, err)
	wantEqual(t, "status", status, syncstream.Status{Users: 1, Buckets: 1, Ops: 1})
}

// testCompactBehindOld has a few old books stand before the many operations of another book, which can be cleared only after they were
// told of anew.
func testCompactBehindOld(t *testing.T, db *store.DB) {
	const times = 1200
	s := newShelf(t, db, newUser(t, db, "reader").ID)
	s.uploadMany(t, 3, "old")
	for i := range times {
		s.put(t, newID(9), fmt.Sprint("page ", i))
	}
	synced := newDevice()
	synced.apply(t, s.allOps(t))

	for _, step := range []struct {
		name   string
		untold int64 // rows to be told of anew after the compaction
		want   syncstream.Compacted
	}{
		{"behind old books", 4, syncstream.Compacted{Buckets: 1, Moved: times - 1}},
		{"once they were told of anew", 0, syncstream.Compacted{Buckets: 1, Moved: 4, Cleared: times + 2}},
	} {
		got, err := db.Compact(t.Context(), 1)
		must(t, err)
		wantEqual(t, step.name, got, step.want)
		status, err := db.SyncStatus(t.Context())
		must(t, err)
		wantEqual(t, "untold "+step.name, status.Backlog, step.untold)
		_, err = db.Backfill(t.Context(), 10)
		must(t, err)
		for what, d := range map[string]*device{"a new device ": newDevice(), "a synced device ": synced} {
			d.apply(t, s.opsAfter(t, d.position))
			d.want(t, what+step.name, s)
		}
	}
	wantEqual(t, "operations", len(s.allOps(t)), 5)
}

// uploadMany keeps n books in one upload; without a title it deletes them.
func (s shelf) uploadMany(t *testing.T, n int, title string) {
	t.Helper()
	changes := make([]library.Change, n)
	for i := range changes {
		changes[i].Ref = library.Ref{Table: library.Books, ID: newID(i)}
		if title != "" {
			changes[i].Row = book(title)
		}
	}
	s.upload(t, changes...)
}

// testCompactAtOnce compacts on both replicas while a user uploads and devices read.
func testCompactAtOnce(t *testing.T, replicas [2]*store.DB) {
	const books, uploads = 20, 30
	s := newShelf(t, replicas[0], newUser(t, replicas[0], "reader").ID)
	s.uploadMany(t, books, "first")
	var uploading sync.WaitGroup
	done := make(chan struct{})
	uploading.Go(func() {
		defer close(done)
		for i := range uploads {
			s.uploadMany(t, books, fmt.Sprint("edition ", i))
		}
	})
	atOnce(replicas, 4, func(_ int, db *store.DB) {
		for more := true; more; {
			select {
			case <-done:
				more = false
			default:
			}
			if _, err := db.Compact(t.Context(), 1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	uploading.Wait()
	if _, err := replicas[1].Compact(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	d := newDevice()
	d.apply(t, s.allOps(t))
	d.want(t, "after all", s)
	status, err := replicas[1].SyncStatus(t.Context())
	must(t, err)
	wantEqual(t, "status", status, syncstream.Status{Users: 1, Buckets: 1, Ops: books + 1})
}
