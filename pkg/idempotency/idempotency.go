// Package idempotency gives a retried request the answer of its first success, whatever crashed in between (contract:
// provisioning, section 4). It does not know what the request does: the work is a function, its answer is bytes.
package idempotency

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"runtime/debug"
	"sync"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/seal"
)

// Lease is how long a claim belongs to the process that made it: longer than a request and the keeping of its answer may
// take, so that its owner has given up or died when another takes the claim over.
const Lease = 8 * time.Second

const (
	firstPoll    = 10 * time.Millisecond
	slowestPoll  = 250 * time.Millisecond
	storeTimeout = 1500 * time.Millisecond // with a request's 6 s less than Lease
)

var (
	// ErrReused means that the intent was claimed before with another fingerprint.
	ErrReused = errors.New("idempotency key was used for another request")
	// ErrBusy means that another owner holds the claim.
	ErrBusy = errors.New("another request holds the claim")
	// ErrLost means that another owner has taken the claim over.
	ErrLost = errors.New("the claim was taken over")
	// ErrTimeout means that the first request of the intent did not end before the caller's deadline.
	ErrTimeout = errors.New("the first request of the intent is still under way")
)

// Intent is what a client wants to happen once.
type Intent struct {
	Account     string            // whose intent it is
	Key         [sha256.Size]byte // identifies the intent; see Hash
	Fingerprint [sha256.Size]byte // what must be equal for two requests to be the same; see Hash
	TTL         time.Duration     // how long the intent is remembered, from its first claim
}

// What names the intent to a [seal.Sealer]: its answer can be opened as nothing else.
func (in Intent) What() string {
	what := Hash("provisioner sealed answer", in.Account, string(in.Key[:]))
	return string(what[:])
}

// Hash returns the SHA-256 of parts, each preceded by its length, so that no two lists of parts collide.
func Hash(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, part := range parts {
		writeLengthPrefixed(h, part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func writeLengthPrefixed(h hash.Hash, part string) { _, _ = fmt.Fprintf(h, "%d:%s", len(part), part) }

// Claim is a row of the store: an intent that was begun, and its answer once it has one.
type Claim struct {
	Intent
	Owner       string // who works on it; random for each try
	UpstreamKey string // 32 lowercase hex characters; every try of the intent sends the same
	Answer      []byte // sealed; nil while there is none
}

// Store keeps claims. Methods are atomic, and hold across processes that share the store.
type Store interface {
	// Claim inserts c if its intent is unknown or forgotten, or takes over a claim whose lease has ended. It
	// returns the claim as it then stands: c's own, one taken over (with the first one's UpstreamKey), or one with
	// an Answer. An intent is forgotten TTL after its first claim, but not before a lease on it ends. A claim of the
	// owner that holds it renews the lease. It returns ErrBusy when another owner holds the claim, and ErrReused when the fingerprints differ.
	Claim(ctx context.Context, c Claim, now time.Time) (Claim, error)
	// Complete stores the answer of a claim that c.Owner holds. It returns ErrLost for a claim that was taken over,
	// which stays as it is: the new owner's answer counts.
	Complete(ctx context.Context, c Claim) error
	// Release forgets a claim that c.Owner holds: nothing happened.
	Release(ctx context.Context, c Claim) error
	// Abandon ends the lease of a claim that c.Owner holds: the next try takes it over at once.
	Abandon(ctx context.Context, c Claim, now time.Time) error
}

// Work does what the intent wants. It must tell the other side upstreamKey, so that a second call has no second
// effect, and return the answer. A 4xx [apierror.Error] means that nothing happened; any other error leaves that open.
type Work func(ctx context.Context, upstreamKey string) (answer []byte, err error)

// Doer runs intents, each at most once to success.
type Doer struct {
	store    Store
	sealer   *seal.Sealer
	now      func() time.Time
	tookOver func()

	mu      sync.Mutex
	flights map[[sha256.Size]byte]*flight // by Intent.Key: what this process is at work on
}

type flight struct {
	fingerprint [sha256.Size]byte
	done        chan struct{}
	answer      []byte
	err         error
}

// Option changes a default of a Doer.
type Option func(*Doer)

// WithTakeOver has f called whenever an intent is tried again after a try whose outcome is unknown.
func WithTakeOver(f func()) Option { return func(d *Doer) { d.tookOver = f } }

// NewDoer returns a Doer that keeps its claims in store and its answers sealed by sealer.
func NewDoer(store Store, sealer *seal.Sealer, now func() time.Time, options ...Option) *Doer {
	d := &Doer{store: store, sealer: sealer, now: now, tookOver: func() {}, flights: make(map[[sha256.Size]byte]*flight)}
	for _, option := range options {
		option(d)
	}
	return d
}

// Do returns the intent's kept answer, or that of work. Concurrent calls for one intent wait for the first and share
// what it gets. It returns ErrReused, ErrTimeout, or the error of the store or of work.
//
// Work that has begun goes on to ctx's deadline when ctx is cancelled: others may be waiting for it.
func (d *Doer) Do(ctx context.Context, in Intent, work Work) ([]byte, error) {
	f, first := d.join(in)
	if f.fingerprint != in.Fingerprint {
		return nil, ErrReused
	}
	if first {
		go d.fly(ctx, in, f, work)
	}

	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return nil, errors.Join(ErrTimeout, ctx.Err())
	}
}

// join returns the flight of the intent, and whether the caller is its first.
func (d *Doer) join(in Intent) (*flight, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.flights[in.Key]; ok {
		return f, false
	}
	f := &flight{fingerprint: in.Fingerprint, done: make(chan struct{})}
	d.flights[in.Key] = f
	return f, true
}

func (d *Doer) fly(ctx context.Context, in Intent, f *flight, work Work) {
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) > Lease {
		deadline = time.Now().Add(Lease)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()

	defer d.land(in, f)
	f.answer, f.err = d.run(ctx, in, work)
}

// land hands the outcome to all who wait. A panic is one too: it must not end the process, nor leave them waiting.
func (d *Doer) land(in Intent, f *flight) {
	if v := recover(); v != nil {
		f.answer, f.err = nil, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	}
	d.mu.Lock()
	delete(d.flights, in.Key)
	d.mu.Unlock()
	close(f.done)
}

func (d *Doer) run(ctx context.Context, in Intent, work Work) ([]byte, error) {
	claim, err := d.claim(ctx, in)
	if err != nil {
		return nil, err
	}
	if claim.Answer != nil {
		return d.sealer.Open(claim.Answer, in.What())
	}

	answer, err := work(ctx, claim.UpstreamKey)
	ctx = context.WithoutCancel(ctx) // what happened is written down, whatever the deadline
	if err != nil {
		return nil, errors.Join(err, d.end(ctx, claim, err))
	}
	if err := d.complete(ctx, claim, answer); errors.Is(err, ErrLost) {
		return nil, errors.Join(ErrTimeout, err) // the next try gets the one answer that counts
	} else if err != nil {
		return nil, err
	}
	return answer, nil
}

// claim takes the claim of the intent, waiting for another process that holds it.
func (d *Doer) claim(ctx context.Context, in Intent) (Claim, error) {
	mine := Claim{Intent: in, Owner: randomKey(), UpstreamKey: randomKey()}
	for wait := firstPoll; ; wait = min(2*wait, slowestPoll) {
		claim, err := d.store.Claim(ctx, mine, d.now())
		if !errors.Is(err, ErrBusy) {
			if err == nil && claim.Answer == nil && claim.UpstreamKey != mine.UpstreamKey {
				d.tookOver()
			}
			return claim, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return Claim{}, errors.Join(ErrTimeout, ctx.Err())
		}
	}
}

// complete keeps the answer.
func (d *Doer) complete(ctx context.Context, c Claim, answer []byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	sealed, err := d.sealer.Seal(answer, c.What())
	if err != nil {
		return err
	}
	c.Answer = sealed
	return d.store.Complete(ctx, c)
}

// end gives the claim up, or keeps it for the next try where the work may have had its effect.
func (d *Doer) end(ctx context.Context, c Claim, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	if status := apierror.From(cause).Status; status >= 400 && status < 500 {
		return d.store.Release(ctx, c)
	}
	return d.store.Abandon(ctx, c, d.now())
}

// randomKey returns 128 random bits as 32 lowercase hex characters.
func randomKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand.Read ends the program instead
	return hex.EncodeToString(b[:])
}
