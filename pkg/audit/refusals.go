package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/provisioner/provisioner/pkg/bound"
)

const (
	flushEvery  = time.Second
	maxRefusals = 10_000 // told apart in one flush; more are counted together
	flushWithin = 5 * time.Second
)

// Refusals collects refusals and writes them about once a second, equal ones of a minute as one entry: a flood of them fills
// neither the memory nor the disk, and costs each refusal the same, whomever it concerns. A process that is killed loses
// those of the last second.
type Refusals struct {
	store Store
	log   *slog.Logger

	mu      sync.Mutex
	pending map[Entry]int // by entries of the minute, without count
	failing bool
}

// NewRefusals returns Refusals that are written to store.
func NewRefusals(store Store, log *slog.Logger) *Refusals {
	return &Refusals{store: store, log: log, pending: make(map[Entry]int)}
}

// Bound is how many refusals are told apart; beyond it they are counted together.
func (r *Refusals) Bound() bound.Bound {
	return bound.Bound{Service: "papyrus", What: "audit_refusals", Limit: maxRefusals, Used: func() int64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return int64(len(r.pending))
	}}
}

// Add counts a refusal. The request that it was is not kept: it is one of many.
func (r *Refusals) Add(e Entry) {
	e.At, e.RequestID, e.Count = e.At.UTC().Truncate(time.Minute), "", 0

	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(e, 1)
}

// count adds to what is pending, with the lock held.
func (r *Refusals) count(e Entry, n int) {
	if _, known := r.pending[e]; !known && len(r.pending) >= maxRefusals {
		e = Entry{At: e.At, Kind: RefusalsOverflow}
	}
	r.pending[e] += n
}

// Run writes what was collected, from time to time and at last when ctx ends.
func (r *Refusals) Run(ctx context.Context) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.Flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
			defer cancel()
			r.Flush(last)
			return nil
		}
	}
}

// Flush writes what was collected. What cannot be written waits for the next time.
func (r *Refusals) Flush(ctx context.Context) {
	r.mu.Lock()
	batch := r.pending
	r.pending = make(map[Entry]int)
	r.mu.Unlock()
	if len(batch) == 0 {
		return
	}

	entries := make([]Entry, 0, len(batch))
	for e, n := range batch {
		e.Count = n
		entries = append(entries, e)
	}
	err := r.store.AppendAudit(ctx, entries...)
	r.report(ctx, err)
	if err != nil {
		r.putBack(batch)
	}
}

// report logs the first of several failures.
func (r *Refusals) report(ctx context.Context, err error) {
	r.mu.Lock()
	news := err != nil && !r.failing
	r.failing = err != nil
	r.mu.Unlock()
	if news {
		r.log.WarnContext(ctx, "refusals not audited, they wait in memory", "err", err)
	}
}

func (r *Refusals) putBack(batch map[Entry]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e, n := range batch {
		r.count(e, n)
	}
}
