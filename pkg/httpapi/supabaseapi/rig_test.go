package supabaseapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/supabaseapi"
	"github.com/provisioner/provisioner/pkg/httpapi/syncapi"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
	"github.com/provisioner/provisioner/pkg/token"
)

const (
	issuer    = "https://papyrus.example.com/auth/v1"
	bodyLimit = 64 << 10
	day       = 24 * time.Hour

	email = "reader@example.com"
	right = "correct horse battery"
)

var (
	noon  = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	tiers = []apikey.Tier{{Name: "new", Keys: 3, PerMinute: 60}, {Name: "pro", Keys: 25, PerMinute: 600}}
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// outbox keeps what is to be mailed.
type outbox struct{ mailed []string }

func (o *outbox) Enqueue(_ context.Context, k mail.Kind, email string) error {
	o.mailed = append(o.mailed, string(k)+" to "+email)
	return nil
}

func (o *outbox) Wake() {}

// rig is the accounts service as cmd composes it, but for cheaper passwords and a clock that stands at noon.
type rig struct {
	http.Handler
	db       *store.DB
	accounts *account.Service
	tokens   *token.AccessIssuer
	limiter  ratelimit.Limiter
	clock    *clock
	outbox   *outbox
}

// newRig returns a rig that admits attempts up to auth.
func newRig(t testing.TB, auth ratelimit.Limit) rig {
	t.Helper()
	return newRigWith(t, auth, slog.New(slog.DiscardHandler), func(*account.Config) {})
}

func newRigWith(t testing.TB, auth ratelimit.Limit, log *slog.Logger, change func(*account.Config)) rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	must(t, db.Migrate(t.Context()))
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	must(t, err)

	r := rig{db: db, clock: &clock{noon}, outbox: &outbox{}}
	r.limiter = ratelimit.NewMemory(r.clock.now)
	ring := token.NewKeystore(token.KeystoreConfig{Store: db, Sealer: sealer, Use: token.Access, TTL: time.Hour, Now: r.clock.now})
	syncKeys := token.NewKeystore(token.KeystoreConfig{Store: db, Sealer: sealer, Use: token.PowerSync, TTL: time.Minute, Now: r.clock.now})
	r.tokens = token.NewAccessIssuer(ring, issuer, time.Hour, r.clock.now)
	sessions, err := session.NewKeeper(session.Config{
		Store: db, Key: secret.New("a refresh token key of 32 bytes!"), Sliding: 30 * day, Feed: db, Now: r.clock.now,
	})
	must(t, err)
	conf := account.Config{
		Store: db, Hasher: password.NewHasher(password.Params{Memory: 64, Time: 1, Threads: 1}, 0), Policy: password.NewPolicy(false),
		Sessions: sessions, Tokens: r.tokens, Refusals: audit.NewRefusals(db, log), Outbox: r.outbox, Plan: tiers[0].Name,
		Now: r.clock.now, Log: log,
	}
	change(&conf)
	r.accounts = account.New(conf)
	keys := apikey.New(apikey.Config{Store: db, Sealer: sealer, Prefix: "obtk_", Tiers: tiers, Now: r.clock.now, Feed: db, Log: log})
	base, err := url.Parse("https://papyrus.example.com")
	must(t, err)
	r.Handler = papyrus.New(
		papyrus.Config{
			Options:  httpapi.Options{Log: log, Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins(nil)},
			Accounts: r.accounts, Keys: keys, Audit: db, Events: db, Limiter: r.limiter, Auth: auth, BodyLimit: bodyLimit,
			Prefix: "/v1", PublicBaseURL: base,
		},
		supabaseapi.Mount(supabaseapi.Config{
			Accounts: r.accounts, Keys: keys, AccessKeys: ring, Limiter: r.limiter, Auth: auth, BodyLimit: bodyLimit, Version: "1.2.3", Log: log,
		}),
		syncapi.Mount(syncapi.Config{
			Streams: syncstream.New(syncstream.Config{Store: db, Changes: db, Max: 1, MaxPerUser: 1, Now: r.clock.now}),
			Tokens:  token.NewPowerSyncIssuer(syncKeys, issuer, "powersync", time.Minute, r.clock.now),
			Ready:   func(context.Context) error { return nil }, Log: log,
		}),
	)
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do makes a request with headers, a name and a value each.
func (r rig) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// check compares an answer with the exact body that is wanted.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got := strings.TrimSuffix(w.Body.String(), "\n"); w.Code != status || got != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, got, status, body)
	}
	if kind := w.Header().Get("Content-Type"); body != "" && kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	if challenged := w.Header().Get("WWW-Authenticate") == "Bearer"; challenged != (status == http.StatusUnauthorized) {
		t.Errorf("WWW-Authenticate %q with %d", w.Header().Get("WWW-Authenticate"), status)
	}
}

// grant is a session object.
type grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	User    struct {
		ID string `json:"id"`
	} `json:"user"`
}

func (g grant) bearer() string { return "Bearer " + g.Access }

func mustGrant(t *testing.T, w *httptest.ResponseRecorder) grant {
	t.Helper()
	var g grant
	if err := json.Unmarshal(w.Body.Bytes(), &g); err != nil || w.Code != http.StatusOK || g.Access == "" {
		t.Fatalf("no session: %d %s, %v", w.Code, w.Body, err)
	}
	return g
}

func (r rig) mustSignUp(t *testing.T, email string) grant {
	t.Helper()
	return mustGrant(t, r.do("POST", "/auth/v1/signup", credentials(email, right)))
}

func (r rig) signIn(email, password string) *httptest.ResponseRecorder {
	return r.do("POST", "/auth/v1/token?grant_type=password", credentials(email, password))
}

func (r rig) refresh(refreshToken string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]string{"refresh_token": refreshToken})
	return r.do("POST", "/auth/v1/token?grant_type=refresh_token", string(body))
}

func (r rig) logout(scope string, g grant) *httptest.ResponseRecorder {
	return r.do("POST", "/auth/v1/logout?scope="+url.QueryEscape(scope), "", "Authorization", g.bearer())
}

func credentials(email, password string) string {
	body, _ := json.Marshal(map[string]string{"email": email, "password": password})
	return string(body)
}

// object returns an answer's body as a JSON object.
func object(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return o
}

// entry is the audit entry of what a test does to an account.
func entry(kind audit.Kind, userID string) audit.Entry {
	return audit.Entry{At: noon, Kind: kind, UserID: userID, Count: 1}
}
