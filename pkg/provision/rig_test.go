package provision_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/pkg/store"
)

type validator func(ctx context.Context, jwt string) (provision.Identity, error)

func (f validator) Validate(ctx context.Context, jwt string) (provision.Identity, error) {
	return f(ctx, jwt)
}

type issuer func(ctx context.Context, in provision.KeyRequest) (provision.Key, error)

func (f issuer) CreateKey(ctx context.Context, in provision.KeyRequest) (provision.Key, error) {
	return f(ctx, in)
}

// userOf takes a JWT "a.<user>.c" for valid.
func userOf(_ context.Context, jwt string) (provision.Identity, error) {
	if len(jwt) < 5 || jwt[:2] != "a." {
		return provision.Identity{}, provision.ErrInvalidAuth
	}
	return provision.Identity{UserID: jwt[2 : len(jwt)-2]}, nil
}

// identityDown stands for a provider that does not answer.
func identityDown(context.Context, string) (provision.Identity, error) {
	return provision.Identity{}, provision.ErrIdentityTimeout
}

// mint makes keys, and remembers what it was asked.
type mint struct {
	mu    sync.Mutex
	asked []provision.KeyRequest
}

func (m *mint) create(_ context.Context, in provision.KeyRequest) (provision.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, in)
	n := len(m.asked)
	return provision.Key{
		Token: secret.New(fmt.Sprintf("obtk_token%d", n)), ID: fmt.Sprintf("key%d", n), Prefix: "obtk_tok", Tier: in.Tier,
	}, nil
}

type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.at.Store(time.Date(2026, 3, 20, 10, 15, 30, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// rig is a Receiver over a store of its own.
type rig struct {
	*provision.Receiver
	db     *store.DB
	clock  *clock
	nonces atomic.Uint64
}

func newRig(t *testing.T, users validator, keys issuer) *rig {
	t.Helper()
	db := newStore(t)
	return newRigOver(t, db, db, users, keys)
}

// newRigOver returns a rig that admits nonces to a store of its own.
func newRigOver(t *testing.T, db *store.DB, nonces replay.Store, users validator, keys issuer) *rig {
	t.Helper()
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{db: db, clock: newClock()}
	r.Receiver = provision.NewReceiver(provision.ReceiverConfig{
		Guard: replay.NewGuard(nonces), Users: users, Keys: keys, Intents: idempotency.NewDoer(db, sealer, r.clock.now),
		Tiers: []string{"new", "pro"}, Now: r.clock.now, Log: slog.New(slog.DiscardHandler),
	})
	return r
}

// empty is the file of a store with tables and no rows: making one takes longer than most tests.
var empty = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "provision")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "provisioner.db")
	db, err := store.Open(context.Background(), store.Config{Engine: store.SQLite, Path: path})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(db.Migrate(context.Background()), db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newStore(t *testing.T) *store.DB {
	t.Helper()
	file, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "provisioner.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// inbound returns a verified request with a nonce of its own.
func (r *rig) inbound(body, idempotencyKey string) provision.Inbound {
	in := provision.Inbound{NonceExpires: r.clock.now().Add(time.Hour), Body: []byte(body)}
	if idempotencyKey != "" {
		in.IdempotencyKeys = []string{idempotencyKey}
	}
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], r.nonces.Add(1))
	in.Nonce = sha256.Sum256(n[:])
	return in
}

// mustProvision returns the key that a request comes to.
func (r *rig) mustProvision(t *testing.T, body, idempotencyKey string) provision.Key {
	t.Helper()
	out, err := r.Receive(t.Context(), r.inbound(body, idempotencyKey))
	if err != nil || out.Key == nil {
		t.Fatalf("Receive(%s) = %+v, %v", body, out, err)
	}
	return *out.Key
}

// refused returns the code of the error that a request comes to.
func (r *rig) refused(t *testing.T, body, idempotencyKey string) apierror.Code {
	t.Helper()
	_, err := r.Receive(t.Context(), r.inbound(body, idempotencyKey))
	return code(err)
}

func (r *rig) mustEvents(t *testing.T) []event.Event {
	t.Helper()
	var events []event.Event
	for e, err := range r.db.Events(t.Context(), event.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// code returns the code that a client sees, "" for no error.
func code(err error) apierror.Code {
	if err == nil {
		return ""
	}
	return apierror.From(err).Code
}

// upstreamKeys returns the keys that the mint was asked with, each once.
func (m *mint) upstreamKeys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for _, in := range m.asked {
		if !slices.Contains(keys, in.IdempotencyKey) {
			keys = append(keys, in.IdempotencyKey)
		}
	}
	return keys
}

const provisionBody = `{"action":"provision_api_key","jwt":"a.alice.c","name":"laptop","tier":"new"}`

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newSender(t *testing.T, network roundTripper) *provision.Sender {
	t.Helper()
	keys, err := signing.NewSingleKey([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return provision.NewSender("http://receiver.test/", keys, network, time.Now)
}

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}
