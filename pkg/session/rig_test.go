package session_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

const (
	day     = 24 * time.Hour
	sliding = 30 * day
)

var (
	start = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	key   = secret.New("a refresh token key of 32 bytes!")
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// rig is a Keeper over a store of its own with one user, at start.
type rig struct {
	*session.Keeper
	db    *store.DB
	clock *clock
	user  string
}

func newRig(t *testing.T) rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u := account.User{ID: uuid.NewString(), Email: "reader@example.com", DisplayName: "reader", Plan: "new", CreatedAt: start}
	added := account.Addition{User: u, PasswordHash: "hash", Audit: audit.New(t.Context(), start, audit.Registered, u.ID)}
	if err := db.CreateUser(t.Context(), added); err != nil {
		t.Fatal(err)
	}
	c := &clock{start}
	return rig{Keeper: newKeeper(t, db, db, key, c), db: db, clock: c, user: u.ID}
}

func newKeeper(t testing.TB, s session.Store, f revocation.Feed, key secret.Text, c *clock) *session.Keeper {
	t.Helper()
	k, err := session.NewKeeper(session.Config{Store: s, Key: key, Sliding: sliding, Adopted: true, Feed: f, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// feed is a Feed that a test speaks through.
type feed struct {
	say  func(revocation.Notice)
	down bool
}

func (f *feed) Subscribe(g func(revocation.Notice)) { f.say = g }
func (f *feed) Up() bool                            { return !f.down }

// mustStart begins a session and returns it with its first refresh token.
func (r rig) mustStart(t *testing.T) (session.Session, string) {
	t.Helper()
	s, token := r.New(r.user, session.Client{Type: "web", DeviceLabel: "Firefox"})
	if err := r.db.SignIn(t.Context(), s, account.Proof{}, audit.New(t.Context(), r.clock.Time, audit.SignedIn, r.user)); err != nil {
		t.Fatal(err)
	}
	return s, token.Reveal()
}

func (r rig) mustRefresh(t *testing.T, token string) string {
	t.Helper()
	_, next, err := r.Refresh(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return next.Reveal()
}
