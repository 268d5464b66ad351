package supabaseapi_test

import (
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
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/supabaseapi"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
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

// rig is the accounts service as cmd composes it, but for cheaper passwords and a clock that stands at noon.
type rig struct {
	http.Handler
	db      *store.DB
	tokens  *token.AccessIssuer
	limiter ratelimit.Limiter
	clock   *clock
}

// newRig returns a rig that admits attempts up to auth.
func newRig(t testing.TB, auth ratelimit.Limit) rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	must(t, db.Migrate(t.Context()))

	c, log := &clock{noon}, slog.New(slog.DiscardHandler)
	pem, err := token.NewAccessKey()
	must(t, err)
	key, err := token.ParseAccessKey(pem)
	must(t, err)
	tokens, err := token.NewAccessIssuer(key, issuer, time.Hour, c.now)
	must(t, err)
	sessions, err := session.NewKeeper(db, secret.New("a refresh token key of 32 bytes!"), 30*day, c.now)
	must(t, err)
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	must(t, err)

	keys := apikey.New(apikey.Config{Store: db, Sealer: sealer, Prefix: "obtk_", Tiers: tiers, Now: c.now, Log: log})
	accounts := account.New(account.Config{
		Store: db, Hasher: password.NewHasher(password.Params{Memory: 64, Time: 1, Threads: 1}, 0), Policy: password.NewPolicy(false),
		Sessions: sessions, Tokens: tokens, Plan: tiers[0].Name, Now: c.now, Log: log,
	})
	limiter := ratelimit.NewMemory(c.now)
	options := httpapi.Options{Log: log, Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins(nil)}
	handler := papyrus.New(
		papyrus.Config{Options: options, Keys: keys, Limiter: limiter},
		supabaseapi.Mount(supabaseapi.Config{
			Accounts: accounts, Keys: keys, Tokens: tokens, Limiter: limiter, Auth: auth, BodyLimit: bodyLimit, Version: "1.2.3", Log: log,
		}),
	)
	return rig{Handler: handler, db: db, tokens: tokens, limiter: limiter, clock: c}
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
