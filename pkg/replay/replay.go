// Package replay admits each signed request once: the signature is the nonce. Admissions that come together share one
// commit, and the event that a request carries is written in the same transaction as its nonce. The package does not
// check signatures; only what package signing accepted may come here, so that strangers cannot fill the store.
package replay

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/tracing"
)

// Margin is how long a nonce is kept beyond the end of its replay window.
const Margin = time.Minute

// ErrReplayed means that the nonce was admitted before.
var ErrReplayed = errors.New("nonce was seen before")

// Admission is one verified request.
type Admission struct {
	Nonce   [sha256.Size]byte // the timekey of the signature
	Expires time.Time         // signing time + window + Margin: no verifier accepts the signature after that
	Event   *event.Event      // what the request asks to be recorded; nil for nothing
}

// Store keeps nonces. It is safe for concurrent use and shared by all replicas.
type Store interface {
	// Admit writes the nonces that are new, with their events, in one transaction, and tells for each admission
	// whether it was new. Of equal nonces in one call the first is new. An event whose body was recorded within
	// event.DedupeFor before its ReceivedAt is not written again; its admission counts as new all the same.
	Admit(ctx context.Context, admissions []Admission) (fresh []bool, err error)
}

const (
	maxBatch      = 256
	maxPending    = 8192 // more than a service works on at once: who comes then meets a store that hangs
	commitTimeout = 3 * time.Second
)

var errBacklog = errors.New("too many requests wait for the store")

// Guard admits requests through its store, many in one commit. It fails closed: no store, no admission.
type Guard struct {
	store Store

	mu         sync.Mutex
	pending    []*admitting
	committing bool // a goroutine is at work on pending
	shed       atomic.Int64
}

type admitting struct {
	Admission
	ctx  context.Context //nolint:containedctx // of the caller, who may give up while waiting
	done chan error      // buffered: the committer never waits for a caller that gave up
}

func (a *admitting) context() context.Context { return a.ctx }

// NewGuard returns a Guard over store.
func NewGuard(store Store) *Guard { return &Guard{store: store} }

// Bound is how many admissions wait for the store.
func (g *Guard) Bound() bound.Bound {
	return bound.Bound{Service: "receiver", What: "admissions", Limit: maxPending, Used: g.waiting, Shed: g.shed.Load}
}

func (g *Guard) waiting() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int64(len(g.pending))
}

// Admit returns nil once a's nonce and event are durable. It returns ErrReplayed when the nonce was seen before, and the
// store's error when the store is down: then the request must not pass.
func (g *Guard) Admit(ctx context.Context, a Admission) error {
	waiting := &admitting{Admission: a, ctx: ctx, done: make(chan error, 1)}
	if !g.enqueue(waiting) { //nolint:contextcheck // a commit is shared: no one caller ends it
		g.shed.Add(1)
		return apierror.Unavailable(errBacklog)
	}
	select {
	case err := <-waiting.done:
		return err
	case <-ctx.Done():
		return apierror.Unavailable(ctx.Err())
	}
}

func (g *Guard) enqueue(a *admitting) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) >= maxPending {
		return false
	}
	g.pending = append(g.pending, a)
	if !g.committing {
		g.committing = true
		go g.commitPending()
	}
	return true
}

// commitPending commits batch after batch until none is left. While one is being committed the next one gathers.
func (g *Guard) commitPending() {
	for batch := g.next(); len(batch) > 0; batch = g.next() {
		g.commit(batch)
	}
}

// next takes a batch of those who still wait: what nobody waits for any more would only delay the others.
func (g *Guard) next() []*admitting {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending = slices.DeleteFunc(g.pending, func(a *admitting) bool { return a.ctx.Err() != nil })
	n := min(len(g.pending), maxBatch)
	batch := slices.Clone(g.pending[:n])
	g.pending = slices.Delete(g.pending, 0, n)
	g.committing = n > 0
	return batch
}

// commit is not bound to the context of any one caller: the others in the batch still want their answer.
func (g *Guard) commit(batch []*admitting) {
	ctx, end := tracing.Shared("commit admissions", batch, (*admitting).context)
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()

	admissions := make([]Admission, len(batch))
	for i, a := range batch {
		admissions[i] = a.Admission
	}
	fresh, err := g.store.Admit(ctx, admissions)
	end(err)
	if err != nil && len(batch) > 1 && apierror.From(err).Code != apierror.StoreUnavailable {
		g.commitSingly(batch)
		return
	}
	for i, a := range batch {
		switch {
		case err != nil:
			a.done <- err
		case !fresh[i]:
			a.done <- ErrReplayed
		default:
			a.done <- nil
		}
	}
}

// commitSingly keeps an admission that the store cannot take from failing those that happened to share its batch.
func (g *Guard) commitSingly(batch []*admitting) {
	for i := range batch {
		g.commit(batch[i : i+1])
	}
}
