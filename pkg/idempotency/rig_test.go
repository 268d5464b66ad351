package idempotency_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/store"
)

var (
	start = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	mint  = idempotency.Intent{
		Account: "u1", Key: idempotency.Hash("u1", "key"), Fingerprint: idempotency.Hash("laptop", "new"), TTL: 24 * time.Hour,
	}
)

// otherMint is another request under the key of mint.
func otherMint() idempotency.Intent {
	in := mint
	in.Fingerprint = idempotency.Hash("phone", "new")
	return in
}

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newSealer(t *testing.T) *seal.Sealer {
	t.Helper()
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func newStore(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// rig is a Doer over a database of its own, at start.
type rig struct {
	*idempotency.Doer
	db    *store.DB
	path  string
	clock *clock
	again int // tries after one whose outcome is unknown
}

func newRig(t *testing.T) *rig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "provisioner.db")
	r := &rig{db: newStore(t, path), path: path, clock: &clock{start}}
	r.Doer = idempotency.NewDoer(r.db, newSealer(t), r.clock.now, idempotency.WithTakeOver(func() { r.again++ }))
	return r
}

// upstream is the other side: it notes the keys that it is sent, and answers what a test wants.
type upstream struct {
	mu   sync.Mutex
	keys []string
}

// says returns work that is answered so.
func (u *upstream) says(answer string, err error) idempotency.Work {
	return func(_ context.Context, key string) ([]byte, error) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.keys = append(u.keys, key)
		return []byte(answer), err
	}
}

func (r *rig) mustDo(t *testing.T, in idempotency.Intent, work idempotency.Work) string {
	t.Helper()
	answer, err := r.Do(t.Context(), in, work)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
