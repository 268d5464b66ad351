package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/footprint"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	queueTimeout = time.Second     // a hash that has not begun by then, or somewhat earlier, is refused: who asks again waits anew
	idleAfter    = 3 * time.Second // without a hash, until the memory goes back to the system
	collections  = 7               // that it takes: each halves the stacks that a burst has grown
)

// errOverloaded refuses a hash that waited too long for its memory.
var errOverloaded = &apierror.Error{
	Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable,
	Message: "too many sign-ins at once, try again", RetryAfter: 2 * time.Second,
}

// Hasher hashes and verifies passwords. It is safe for concurrent use.
type Hasher struct {
	params Params
	memory *semaphore.Weighted // KiB that hashes in flight may take together
	budget int64
	used   atomic.Int64 // of memory
	shed   atomic.Int64 // hashes that were refused
	decoy  argon2Hash   // stands in for the hash of an account that has none

	mu   sync.Mutex
	idle *time.Timer
	left int // of collections
}

// NewHasher returns a Hasher for new hashes of params. Hashes in flight take at most budget KiB of memory together, but never
// less than one hash of params needs; see [Budget].
func NewHasher(params Params, budget int64) *Hasher {
	budget = max(budget, int64(params.Memory))
	return &Hasher{
		params: params, budget: budget, memory: semaphore.NewWeighted(budget),
		decoy: argon2Hash{Params: params, salt: make([]byte, saltLen), key: make([]byte, keyLen)},
	}
}

// Bound is the memory of all hashes in flight.
func (h *Hasher) Bound() bound.Bound {
	return bound.Bound{
		Service: "papyrus", What: "password_hash_bytes", Limit: h.budget << 10, Shed: h.shed.Load,
		Used: func() int64 { return h.used.Load() << 10 },
	}
}

// Hash returns the PHC string of a new password. It returns an overload (503) when the budget stays full.
func (h *Hasher) Hash(ctx context.Context, password secret.Text) (string, error) {
	fresh := argon2Hash{Params: h.params, salt: make([]byte, saltLen)}
	_, _ = rand.Read(fresh.salt) // never fails: crypto/rand.Read ends the program instead
	fresh.key = make([]byte, keyLen)

	key, err := h.compute(ctx, fresh, password)
	if err != nil {
		return "", err
	}
	fresh.key = key
	return fresh.String(), nil
}

// Verify reports whether password is the one of a stored hash, an argon2id PHC string or bcrypt, and whether it should be hashed
// anew: it is bcrypt, or cheaper than the Hasher's params. An empty hash matches nothing and costs what a hash of
// params costs. It returns an overload (503) when the budget stays full.
func (h *Hasher) Verify(ctx context.Context, stored string, password secret.Text) (ok, rehash bool, err error) {
	if strings.HasPrefix(stored, "$2") {
		ok, err = h.verifyBcrypt(ctx, stored, password)
		return ok, ok, err
	}

	hash := h.decoy
	if stored != "" {
		if hash, err = parsePHC(stored); err != nil {
			return false, false, err
		}
	}
	key, err := h.compute(ctx, hash, password)
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(key, hash.key) == 1 && stored != ""
	return ok, ok && hash.cheaperThan(h.params), nil
}

func (p Params) cheaperThan(other Params) bool {
	return p.Memory < other.Memory || p.Time < other.Time
}

func (h *Hasher) compute(ctx context.Context, hash argon2Hash, password secret.Text) ([]byte, error) {
	cost := min(int64(hash.Memory), h.budget)
	if err := h.acquire(ctx, cost); err != nil {
		return nil, err
	}
	defer h.release(cost)
	return hash.compute(password.Bytes()), nil
}

// verifyBcrypt takes a place of the budget, though bcrypt needs little memory: it needs as much of a processor.
func (h *Hasher) verifyBcrypt(ctx context.Context, stored string, password secret.Text) (bool, error) {
	cost := min(int64(h.params.Memory), h.budget)
	if err := h.acquire(ctx, cost); err != nil {
		return false, err
	}
	defer h.release(cost)
	switch err := bcrypt.CompareHashAndPassword([]byte(stored), password.Bytes()); {
	case err == nil:
		return true, nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, nil
	default:
		return false, fmt.Errorf("bcrypt: %w", err)
	}
}

func (h *Hasher) acquire(ctx context.Context, cost int64) error {
	patience := queueTimeout - mathrand.N(queueTimeout/2) //nolint:gosec // G404: it parts those who came together, no secret
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := h.memory.Acquire(ctx, cost); err != nil {
		h.shed.Add(1)
		return errOverloaded.With(err)
	}
	h.used.Add(cost)
	return nil
}

// release gives the memory back to the system once no hash has run for idleAfter: the collector alone would keep the
// high-water mark of a burst of sign-ins.
func (h *Hasher) release(cost int64) {
	h.memory.Release(cost)
	h.used.Add(-cost)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = collections
	if h.idle == nil {
		h.idle = time.AfterFunc(idleAfter, h.giveBack)
		return
	}
	h.idle.Reset(idleAfter)
}

func (h *Hasher) giveBack() {
	footprint.Shrink()

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left--; h.left > 0 {
		h.idle.Reset(idleAfter)
	}
}
