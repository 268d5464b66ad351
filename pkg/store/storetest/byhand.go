package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// RunByHand runs what somebody is needed for who changes rows by hand. Open returns the handles of an empty, migrated database of its own
// for each call, as two replicas have them, and what runs SQL on it.
func RunByHand(t *testing.T, open func(t *testing.T) (a, b *store.DB, run func(statement string))) {
	t.Helper()
	for _, suite := range []struct {
		name string
		run  func(t *testing.T, replicas [2]*store.DB, run func(statement string))
	}{
		{"rows from before are told of", testBackfill},
		{"rows that were changed are told of again", testChangedByHand},
		{"back-fills and uploads go together", testBackfillAtOnce},
		{"a user's clients are many", testClientsForgotten},
	} {
		t.Run(suite.name, func(t *testing.T) {
			a, b, run := open(t)
			suite.run(t, [2]*store.DB{a, b}, run)
		})
	}
}

// insertBook is the statement that makes a book by hand.
func insertBook(userID, id string) string {
	return fmt.Sprintf(`INSERT INTO books (book_id, owner_user_id, title, co_authors, added_at, updated_at)
		VALUES ('%s', '%s', 'By hand', '["A", "B"]', '2026-11-21T10:30:00.123456Z', '2026-11-21T10:30:00.123456Z')`, id, userID)
}

func testBackfill(t *testing.T, replicas [2]*store.DB, run func(statement string)) {
	const books = 450 // more than a chunk
	db := replicas[0]
	a, b := newShelf(t, db, newUser(t, db, "a").ID), newShelf(t, db, newUser(t, db, "b").ID)
	statements := make([]string, books)
	for i := range statements {
		statements[i] = insertBook(a.userID, newID(i))
	}
	run(`BEGIN; ` + strings.Join(statements, "; ") + `; COMMIT`)
	run(insertBook(b.userID, newID(books)))
	l := listenForChanges(db)

	for _, step := range []struct{ limit, want int }{{0, 0}, {1, 1}, {books - 2, books - 2}, {10, 2}, {10, 0}} {
		got, err := db.Backfill(t.Context(), step.limit)
		must(t, err)
		wantEqual(t, fmt.Sprintf("Backfill(%d)", step.limit), got, step.want)
	}
	told := map[string]bool{}
	for _, userID := range l.heard() {
		told[userID] = true
	}
	wantEqual(t, "told of", told, map[string]bool{a.userID: true, b.userID: true})
	for _, s := range []shelf{a, b} {
		d := newDevice()
		d.apply(t, s.allOps(t))
		d.want(t, "after the back-fill", s)
	}
	wantEqual(t, "operations", a.snapshot(t).Head, int64(books))

	if _, err := db.Compact(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	status, err := db.SyncStatus(t.Context())
	must(t, err)
	wantEqual(t, "status once the void ones are known", status, syncstream.Status{Users: 2, Buckets: 2, Ops: books + 1})
}

func testChangedByHand(t *testing.T, replicas [2]*store.DB, run func(statement string)) {
	ctx, db := t.Context(), replicas[0]
	s := newShelf(t, db, newUser(t, db, "reader").ID)
	s.put(t, newID(1), "A")
	s.put(t, newID(1), "B")
	s.put(t, newID(2), "C")
	old := newDevice()
	old.apply(t, s.allOps(t))

	run(`UPDATE books SET title = 'By hand', op_id = NULL WHERE title = 'B'`)
	status, err := db.SyncStatus(ctx)
	must(t, err)
	wantEqual(t, "rows without operation", status.Backlog, int64(1))
	_, err = db.Compact(ctx, 1)
	must(t, err)
	fresh := newDevice()
	fresh.apply(t, s.allOps(t))
	wantEqual(t, "rows on a device meanwhile", len(fresh.rows), 2)

	n, err := db.Backfill(ctx, 10)
	must(t, err)
	wantEqual(t, "Backfill", n, 1)
	compacted, err := db.Compact(ctx, 1)
	must(t, err)
	wantEqual(t, "Compact", compacted, syncstream.Compacted{Buckets: 1, Moved: 2, Cleared: 1})
	for name, d := range map[string]*device{"an old device": old, "a device that synced meanwhile": fresh, "a new device": newDevice()} {
		d.apply(t, s.opsAfter(t, d.position))
		d.want(t, name, s)
	}
}

func testBackfillAtOnce(t *testing.T, replicas [2]*store.DB, run func(statement string)) {
	const books, workers = 400, 8
	s := newShelf(t, replicas[0], newUser(t, replicas[0], "reader").ID)
	for i := range books {
		run(insertBook(s.userID, newID(i)))
	}
	atOnce(replicas, workers, func(i int, db *store.DB) {
		if i < workers/2 {
			if _, err := db.Backfill(t.Context(), books); err != nil {
				t.Error(err)
			}
			return
		}
		of := shelf{db, s.userID, s.sessionID}
		for j := range 5 {
			of.upload(t, library.Change{Ref: library.Ref{Table: library.Books, ID: newID(i*books + j)}, Row: book("C")})
		}
	})
	if _, err := replicas[0].Backfill(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	d := newDevice()
	d.apply(t, s.allOps(t))
	d.want(t, "after all", s)
	wantEqual(t, "operations", s.snapshot(t).Head, int64(books+workers/2*5))
}

// testClientsForgotten makes most clients by hand: a transaction for each takes half a minute.
func testClientsForgotten(t *testing.T, replicas [2]*store.DB, run func(statement string)) {
	db := replicas[0]
	u, other := newUser(t, db, "reader").ID, newUser(t, db, "other").ID
	step := func(user, client string, second int) {
		_, err := db.WriteCheckpoint(t.Context(), user, client, 0, age(second))
		must(t, err)
	}
	step(other, "another's", 0)
	step(u, "oldest", 0)
	step(u, "heard again", 0)
	step(u, "model", 1)
	names := make([]string, syncstream.MaxClients-3)
	for i := range names {
		names[i] = fmt.Sprintf("('%d')", i)
	}
	run(`INSERT INTO sync_clients (user_id, client_id, write_checkpoint, heard_at)
		SELECT user_id, names.column1, write_checkpoint, heard_at FROM sync_clients, (VALUES ` + strings.Join(names, ", ") + `) AS names
		WHERE client_id = 'model'`)
	step(u, "heard again", 2)
	step(u, "one too many", 3)

	got := map[string]bool{}
	for client, user := range map[string]string{"another's": other, "oldest": u, "heard again": u, "model": u, "0": u, "one too many": u} {
		s, err := db.Snapshot(t.Context(), user, client)
		must(t, err)
		got[client] = s.WriteCheckpoint > 0
	}
	wantEqual(t, "remembered", got, map[string]bool{
		"another's": true, "oldest": false, "heard again": true, "model": true, "0": true, "one too many": true,
	})
	status, err := db.SyncStatus(t.Context())
	must(t, err)
	wantEqual(t, "clients", status.Clients, int64(syncstream.MaxClients+1))
}
