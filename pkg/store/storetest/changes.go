package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// changeLog remembers whose changes were told.
type changeLog struct {
	mu      sync.Mutex
	userIDs []string
}

func listenForChanges(db *store.DB) *changeLog {
	l := &changeLog{}
	db.OnChange(func(userID string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.userIDs = append(l.userIDs, userID)
	})
	return l
}

// heard returns the users since it was last called.
func (l *changeLog) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	userIDs := l.userIDs
	l.userIDs = nil
	return userIDs
}

// testChanges wants what a user's devices are to hear of to be told before it returns, and what fails not to be told.
func testChanges(t *testing.T, db *store.DB) {
	ctx := t.Context()
	l := listenForChanges(db)
	u := newUser(t, db, "reader").ID
	s := newShelf(t, db, u)
	id := newID(1)
	stepCheckpoint := func() error {
		_, err := db.WriteCheckpoint(ctx, u, "phone", 0, Now)
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
		err  error
		want []string
	}{
		{"a row is uploaded", func() error { s.put(t, id, "A"); return nil }, nil, []string{u}},
		{"a row is deleted", func() error { s.put(t, id, ""); return nil }, nil, []string{u}},
		{"a write checkpoint steps", stepCheckpoint, nil, []string{u}},
		{"a stranger's does not", func() error {
			_, err := db.WriteCheckpoint(ctx, strangers[3], "phone", 0, Now)
			return err
		}, syncstream.ErrNoUser, nil},
		{"nothing is to be filled in", func() error { _, err := db.Backfill(ctx, 10); return err }, nil, nil},
		{"buckets become shorter", func() error { _, err := db.Compact(ctx, 1); return err }, nil, nil},
		{"the account is disabled", func() error { return db.SetDisabled(ctx, u, Now, entry(audit.Disabled)) }, nil, []string{u}},
		{"the account is erased", func() error { return db.DeleteUser(ctx, u, entry(audit.Deleted)) }, nil, []string{u}},
		{"once more", func() error { return db.DeleteUser(ctx, u, entry(audit.Deleted)) }, account.ErrNotFound, nil},
	} {
		wantErr(t, step.name, step.do(), step.err)
		wantEqual(t, step.name, l.heard(), step.want)
	}
}

// testChangesTravel wants one replica to hear of another's changes: by their user, or that it must look at everybody's.
func testChangesTravel(t *testing.T, replicas [2]*store.DB) {
	here, there := replicas[0], replicas[1]
	own, l := listenForChanges(here), listenForChanges(there)
	watch(t, here)
	stop := watch(t, there)
	wantEqual(t, "at first everything may have changed", [][]string{own.heard(), l.heard()}, [][]string{{""}, {""}})

	step := func(u string) {
		_, err := here.WriteCheckpoint(t.Context(), u, "phone", 0, Now)
		must(t, err)
	}
	hears := func(u string) func() bool {
		return func() bool {
			heard := l.heard()
			return slices.Contains(heard, u) || slices.Contains(heard, "")
		}
	}
	u := newUser(t, here, "reader").ID
	step(u)
	eventually(t, "the other replica hears of a change", hears(u))

	var last string
	for i := range 200 { // more than one message holds
		last = newUser(t, here, fmt.Sprint("reader", i)).ID
		if i == 199 {
			l.heard()
		}
		step(last)
	}
	eventually(t, "the other replica hears of the last of many", hears(last))

	// What this replica hears after all of that comes after it: by then it would have heard of its own changes again.
	_, err := there.WriteCheckpoint(t.Context(), u, "phone", 0, Now)
	must(t, err)
	var heard []string
	eventually(t, "this replica hears of the other's", func() bool {
		heard = append(heard, own.heard()...)
		return len(heard) > 201
	})
	if here.Up() && len(heard) > 202 && !slices.Contains(heard, "") {
		t.Errorf("%d changes were told of, of 202", len(heard))
	}
	stop()
}

// age returns a time after Now.
func age(n int) time.Time { return Now.Add(time.Duration(n) * time.Second) }
