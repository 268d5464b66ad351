package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/provisioner/provisioner/pkg/tracing"
)

// maxGroup bounds how long the first of a group waits for the last.
const maxGroup = 64

// groupCommit runs transactions that wait at the same moment in one: SQLite has one writer, and to make a small change durable
// costs it more than the change. It has a goroutine only while there is work.
type groupCommit struct {
	write *sql.DB

	mu      sync.Mutex
	waiting []*transaction
	running bool
}

type transaction struct {
	ctx  context.Context //nolint:containedctx // of the caller, who may give up while waiting
	work work
	done chan error // buffered
}

func (t *transaction) context() context.Context { return t.ctx }

// run does the work. A panic is an error of it too: it must not end the process, nor leave those waiting who share the transaction.
func (t *transaction) run(ctx context.Context, tx *sql.Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return t.work(ctx, tx)
}

// do returns once w is durable, or with why nothing of it is.
func (g *groupCommit) do(ctx context.Context, w work) error {
	t := &transaction{ctx: ctx, work: w, done: make(chan error, 1)}
	g.add(t) //nolint:contextcheck // a commit is shared: no one caller ends it
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
	}
	if g.withdraw(t) {
		return ctx.Err()
	}
	return <-t.done // w is running, on what belongs to the caller
}

// withdraw takes back a transaction that has not begun.
func (g *groupCommit) withdraw(t *transaction) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, t)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

func (g *groupCommit) add(t *transaction) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, t)
	if !g.running {
		g.running = true
		go g.run()
	}
}

func (g *groupCommit) run() {
	for group := g.next(); len(group) > 0; group = g.next() {
		g.commit(group)
	}
}

// next takes those who have waited longest, in their order.
func (g *groupCommit) next() []*transaction {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxGroup)
	group := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	g.running = n > 0
	return group
}

// commit runs a group in one transaction, or where one of them cannot be in it each in one of its own: the others are not to know.
func (g *groupCommit) commit(group []*transaction) {
	if len(group) > 1 {
		if ran, err := g.together(group); ran {
			for _, t := range group {
				t.done <- err
			}
			return
		}
	}
	for _, t := range group {
		t.done <- inTx(t.ctx, g.write, t.run)
	}
}

// together reports whether all of the group ran, and then how the commit went.
func (g *groupCommit) together(group []*transaction) (ran bool, err error) {
	ctx, end := tracing.Shared("commit together", group, (*transaction).context)
	defer func() { end(err) }()
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	err = inTx(ctx, g.write, func(_ context.Context, tx *sql.Tx) error {
		for _, t := range group {
			if err := t.run(t.ctx, tx); err != nil { //nolint:contextcheck // each has its own
				return err
			}
		}
		ran = true
		return nil
	})
	return ran, err
}
