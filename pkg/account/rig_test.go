package account_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/revocation"
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
	db       *store.DB
	clock    *clock
	conf     account.Config
	outbox   *outbox
	refusals *refusals
}

// migrated is a database without accounts, made once: under the race detector migrations take longer than most tests.
var migrated = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "provisioner-account-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
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

func newRig(t *testing.T) rig {
	t.Helper()
	empty, err := migrated()
	must(t, err)
	path := filepath.Join(t.TempDir(), "provisioner.db")
	must(t, os.WriteFile(path, empty, 0o600))
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: path})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })

	r := rig{db: db, clock: &clock{start}, outbox: &outbox{}, refusals: &refusals{}}
	r.conf = account.Config{
		Store: db, Hasher: password.NewHasher(quick, 0), Policy: password.NewPolicy(false), Sessions: newSessions(t, db, r.clock),
		Tokens: newTokens(t, r.clock), Refusals: audit.NewRefusals(r.refusals, slog.New(slog.DiscardHandler)), Outbox: r.outbox,
		Plan: "new", Now: r.clock.now, Log: slog.New(slog.DiscardHandler),
	}
	r.Service = account.New(r.conf)
	return r
}

// sessionStore is what sessions are made of.
type sessionStore interface {
	session.Store
	revocation.Feed
}

func newSessions(t *testing.T, s sessionStore, c *clock) *session.Keeper {
	t.Helper()
	sessions, err := session.NewKeeper(session.Config{
		Store: s, Key: secret.New("a refresh token key of 32 bytes!"), Sliding: 30 * day, Feed: s, Now: c.now,
	})
	must(t, err)
	return sessions
}

// ring is a Ring of one key.
type ring struct{ token.Key }

func (r ring) Signing(context.Context) (token.Key, error)     { return r.Key, nil }
func (r ring) Published(context.Context) ([]token.Key, error) { return []token.Key{r.Key}, nil }
func (r ring) ByID(_ context.Context, id string) (token.Key, error) {
	if id != r.ID {
		return token.Key{}, token.ErrUnknownKey
	}
	return r.Key, nil
}

func newTokens(t *testing.T, c *clock) *token.AccessIssuer {
	t.Helper()
	pem, err := token.NewKey(token.Access)
	must(t, err)
	key, err := token.ParseKey(token.Access, "", pem)
	must(t, err)
	return token.NewAccessIssuer(ring{key}, issuer, time.Hour, c.now)
}

// outbox keeps what is to be mailed.
type outbox struct {
	jobs []mail.Job
	woke int
}

func (o *outbox) Enqueue(_ context.Context, k mail.Kind, email string) error {
	o.jobs = append(o.jobs, mail.Job{Kind: k, Email: email})
	return nil
}

func (o *outbox) Wake() { o.woke++ }

// refusals keeps what is audited of them.
type refusals struct {
	audit.Store
	entries []audit.Entry
}

func (r *refusals) AppendAudit(_ context.Context, entries ...audit.Entry) error {
	r.entries = append(r.entries, entries...)
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
	must(t, err)
	return grant
}

// mustPrincipal returns who holds the access token of a grant.
func (r rig) mustPrincipal(t *testing.T, g account.Grant) account.Principal {
	t.Helper()
	who, err := r.Authenticate(t.Context(), g.AccessToken.Reveal())
	must(t, err)
	return who
}

// entry returns an audit entry of an event now.
func (r rig) entry(kind audit.Kind, userID string) audit.Entry {
	return audit.Entry{At: r.clock.Time, Kind: kind, UserID: userID, Count: 1}
}

// mustAudited returns the entries of a kind, the newest first.
func (r rig) mustAudited(t *testing.T, kind audit.Kind) []audit.Entry {
	t.Helper()
	entries, err := r.db.AuditEntries(t.Context(), audit.Filter{Kind: kind})
	must(t, err)
	return entries
}

// mustRefused wants so many refusals of a kind since it was asked last.
func (r rig) mustRefused(t *testing.T, kind audit.Kind, want int) {
	t.Helper()
	r.conf.Refusals.Flush(t.Context())
	got := 0
	for _, e := range r.refusals.entries {
		if e.Kind == kind {
			got += e.Count
		}
	}
	r.refusals.entries = nil
	if got != want {
		t.Errorf("%d refusals %q are audited, want %d", got, kind, want)
	}
}

func mustDisable(t *testing.T, r rig, userID string) {
	t.Helper()
	must(t, r.db.SetDisabled(t.Context(), userID, r.clock.Time, r.entry(audit.Disabled, userID)))
}

func mustDelete(t *testing.T, r rig, userID string) {
	t.Helper()
	must(t, r.db.DeleteUser(t.Context(), userID, r.entry(audit.Deleted, userID)))
}

// mustAdopt keeps an account with a given password hash, "" for none.
func (r rig) mustAdopt(t *testing.T, email, hash string) {
	t.Helper()
	u := account.User{ID: uuid.NewString(), Email: email, DisplayName: "adopted", Plan: "new", CreatedAt: start}
	must(t, r.db.CreateUser(t.Context(), account.Addition{User: u, PasswordHash: hash, Audit: r.entry(audit.Registered, u.ID)}))
}
