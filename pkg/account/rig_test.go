package account_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
)

const (
	email  = "reader@example.com"
	issuer = "https://papyrus.example.com/auth/v1"
	day    = 24 * time.Hour
)

var (
	start = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	right = secret.New("correct horse battery")
	wrong = secret.New("correct horse cattery")
	quick = password.Params{Memory: 64, Time: 1, Threads: 1}
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// rig is a Service over a store of its own, at start.
type rig struct {
	*account.Service
	db    *store.DB
	clock *clock
	conf  account.Config
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

	c := &clock{start}
	sessions, err := session.NewKeeper(db, secret.New("a refresh token key of 32 bytes!"), 30*day, c.now)
	if err != nil {
		t.Fatal(err)
	}
	conf := account.Config{
		Store: db, Hasher: password.NewHasher(quick, 0), Policy: password.NewPolicy(false), Sessions: sessions,
		Tokens: newTokens(t, c), Plan: "new", Now: c.now, Log: slog.New(slog.DiscardHandler),
	}
	return rig{Service: account.New(conf), db: db, clock: c, conf: conf}
}

func newTokens(t *testing.T, c *clock) *token.AccessIssuer {
	t.Helper()
	pem, err := token.NewAccessKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.ParseAccessKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := token.NewAccessIssuer(key, issuer, time.Hour, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// with returns a Service of the same store that change makes different.
func (r rig) with(change func(*account.Config)) *account.Service {
	conf := r.conf
	change(&conf)
	return account.New(conf)
}

func (r rig) mustRegister(t *testing.T, email string) account.Grant {
	t.Helper()
	grant, err := r.Register(t.Context(), account.Registration{Email: email, Password: right})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func mustDisable(t *testing.T, r rig, userID string) {
	t.Helper()
	if err := r.db.SetDisabled(t.Context(), userID, r.clock.Time); err != nil {
		t.Fatal(err)
	}
}

func mustDelete(t *testing.T, r rig, userID string) {
	t.Helper()
	if err := r.db.DeleteUser(t.Context(), userID); err != nil {
		t.Fatal(err)
	}
}

// mustAdopt keeps an account with a given password hash, "" for none.
func (r rig) mustAdopt(t *testing.T, email, hash string) {
	t.Helper()
	u := account.User{ID: uuid.NewString(), Email: email, DisplayName: "adopted", Plan: "new", CreatedAt: start}
	if err := r.db.CreateUser(t.Context(), u, hash); err != nil {
		t.Fatal(err)
	}
}
