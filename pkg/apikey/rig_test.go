package apikey_test

import (
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/store"
)

const prefix = "obtk_"

var (
	start = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	tiers = []apikey.Tier{{Name: "new", Keys: 3, PerMinute: 60}, {Name: "pro", Keys: 5, PerMinute: 600}}
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// rig is a Service over a store of its own, at start.
type rig struct {
	*apikey.Service
	db    *store.DB
	clock *clock
	conf  apikey.Config
}

func newRig(t testing.TB) rig {
	t.Helper()
	return newRigOn(t, store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
}

func newRigOn(t testing.TB, database store.Config) rig {
	t.Helper()
	db, err := store.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &clock{start}
	conf := apikey.Config{
		Store: db, Sealer: newSealer(t, "a seal key of at least 32 bytes for tests"), Prefix: prefix, Tiers: tiers,
		Now: c.now, Feed: db, Log: slog.New(slog.DiscardHandler),
	}
	return rig{Service: apikey.New(conf), db: db, clock: c, conf: conf}
}

func newSealer(t testing.TB, key string) *seal.Sealer {
	t.Helper()
	sealer, err := seal.New(secret.New(key))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// entry is the audit entry of what a test does to an account.
func entry(kind audit.Kind, userID string) audit.Entry {
	return audit.Entry{At: start, Kind: kind, UserID: userID, Count: 1}
}

// feed is a Feed that a test speaks through.
type feed struct {
	say  func(revocation.Notice)
	down bool
}

func (f *feed) Subscribe(g func(revocation.Notice)) { f.say = g }
func (f *feed) Up() bool                            { return !f.down }

// mustUser returns the id of a new account.
func (r rig) mustUser(t testing.TB) string {
	t.Helper()
	id := uuid.NewString()
	u := account.User{ID: id, Email: id + "@example.com", DisplayName: "reader", Plan: "new", CreatedAt: start}
	if err := r.db.CreateUser(t.Context(), account.Addition{User: u, PasswordHash: "hash", Audit: entry(audit.Registered, id)}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (r rig) mustIssue(t testing.TB, in apikey.Request) apikey.Issued {
	t.Helper()
	made, err := r.Issue(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// mustKeep keeps a key whose times change sets, and returns its token.
func (r rig) mustKeep(t testing.TB, userID string, change func(*apikey.Key)) string {
	t.Helper()
	random := sha256.Sum256([]byte(uuid.NewString()))
	token := prefix + hexOf(random)
	k := apikey.Key{
		ID: uuid.NewString(), UserID: userID, Name: "laptop", Tier: "new", Prefix: token[:8],
		Hash: sha256.Sum256([]byte(token)), CreatedAt: start,
	}
	change(&k)
	if _, err := r.db.CreateKey(t.Context(), k, 100, apikey.Issue{}, entry(audit.KeyIssued, userID)); err != nil {
		t.Fatal(err)
	}
	return token
}
