package papyrus_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/openapi"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
	validator "github.com/provisioner/provisioner/test/openapi"
)

const (
	origin    = "https://app.example.com"
	publicURL = "https://papyrus.example.com"
	syncURL   = "https://sync.example.com"
	bodyLimit = 64 << 10
	day       = 24 * time.Hour

	email = "reader@example.com"
	right = "correct horse battery"
	wrong = "correct horse cattery"
)

var (
	noon       = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	refreshKey = secret.New("a refresh token key of 32 bytes!")
	tiers      = []apikey.Tier{{Name: "new", Keys: 3, PerMinute: 2}, {Name: "pro", Keys: 25, PerMinute: 600}}
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// outbox is an Outbox that composes mail when the test reads it.
type outbox struct {
	mu   sync.Mutex
	jobs []mail.Job
	woke int
}

func (o *outbox) Enqueue(_ context.Context, k mail.Kind, email string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs = append(o.jobs, mail.Job{Kind: k, Email: email})
	return nil
}

func (o *outbox) Wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.woke++
}

// rig is the accounts service without the Supabase API, as cmd composes it but for cheaper passwords and a clock that stands at
// noon. It has one account, which owns keys.
type rig struct {
	http.Handler // the API, held to its document
	api          *echo.Echo
	t            testing.TB
	db           *store.DB
	clock        *clock
	user         string
	outbox       *outbox
	tokens       *token.AccessIssuer
	config       papyrus.Config
	accounts     account.Config
}

// newRig returns a rig whose API changes make different.
func newRig(t testing.TB, changes ...func(*papyrus.Config)) rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	must(t, db.Migrate(t.Context()))
	u := account.User{ID: uuid.NewString(), Email: "keeper@example.com", DisplayName: "keeper", Plan: "new", CreatedAt: noon}
	must(t, db.CreateUser(t.Context(), account.Addition{User: u, Audit: audit.New(t.Context(), noon, audit.Registered, u.ID)}))

	r := rig{t: t, db: db, clock: &clock{noon}, user: u.ID, outbox: &outbox{}}
	r.config = r.newConfig(t)
	return r.with(changes...)
}

func (r *rig) newConfig(t testing.TB) papyrus.Config {
	t.Helper()
	log, now := slog.New(slog.DiscardHandler), r.clock.now
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	must(t, err)
	sessions, err := session.NewKeeper(session.Config{
		Store: r.db, Key: refreshKey, Sliding: 30 * day, Feed: r.db, Now: now,
	})
	must(t, err)
	accessKeys := token.NewKeystore(token.KeystoreConfig{Store: r.db, Sealer: sealer, Use: token.Access, TTL: time.Hour, Now: now})
	key := powerSyncKey()
	powerSyncKeys := token.NewKeystore(token.KeystoreConfig{
		Store: r.db, Sealer: sealer, Use: token.PowerSync, TTL: 5 * time.Minute, Base: &key, Now: now,
	})
	r.tokens = token.NewAccessIssuer(accessKeys, publicURL+"/auth/v1", time.Hour, now)
	r.accounts = account.Config{
		Store: r.db, Hasher: password.NewHasher(password.Params{Memory: 64, Time: 1, Threads: 1}, 0), Policy: password.NewPolicy(false),
		Sessions: sessions, Tokens: r.tokens, Refusals: audit.NewRefusals(r.db, log), Outbox: r.outbox, Plan: "new", Now: now, Log: log,
	}
	base, err := url.Parse(publicURL)
	must(t, err)
	return papyrus.Config{
		Options:   httpapi.Options{Log: log, Origins: middleware.NewOrigins([]string{origin})},
		Accounts:  account.New(r.accounts),
		Keys:      apikey.New(apikey.Config{Store: r.db, Sealer: sealer, Prefix: "obtk_", Tiers: tiers, Now: now, Feed: r.db, Log: log}),
		PowerSync: token.NewPowerSyncIssuer(powerSyncKeys, publicURL, "powersync", 5*time.Minute, now), PowerSyncKeys: powerSyncKeys,
		Uploads:      library.NewUploader(library.Config{Store: r.db, Refusals: r.accounts.Refusals, Now: now, Log: log}),
		UploadMemory: 64 << 20, Library: r.db,
		Audit: r.db, Events: r.db, Limiter: ratelimit.NewMemory(now), BodyLimit: bodyLimit, Prefix: "/v1", PublicBaseURL: base,
		DataSyncURL: syncURL,
	}
}

// powerSyncKey is made once: RSA is slow under the race detector.
var powerSyncKey = sync.OnceValue(func() token.Key {
	pem, err := token.NewKey(token.PowerSync)
	if err != nil {
		panic(err)
	}
	key, err := token.ParseKey(token.PowerSync, "powersync-1", pem)
	if err != nil {
		panic(err)
	}
	return key
})

// with returns a rig of the same accounts with another API.
func (r rig) with(changes ...func(*papyrus.Config)) rig {
	for _, change := range changes {
		change(&r.config)
	}
	c := r.config
	c.Options.Metrics = prometheus.NewRegistry()
	r.api = papyrus.New(c).(*echo.Echo)
	r.Handler = validator.NewValidator(r.t, openapi.WithPrefix(papyrus.Document, c.Prefix)).Handler(r.api)
	return r
}

// withAccounts returns a rig of the same store whose accounts change makes different.
func (r rig) withAccounts(change func(*account.Config)) rig {
	change(&r.accounts)
	return r.with(func(c *papyrus.Config) { c.Accounts = account.New(r.accounts) })
}

// limited admits so many attempts of one network in ten minutes.
func limited(n int) func(*papyrus.Config) {
	return func(c *papyrus.Config) { c.Auth = ratelimit.Limit{Count: n, Period: 10 * time.Minute} }
}

// prefixed puts the API below a prefix.
func prefixed(prefix string) func(*papyrus.Config) {
	return func(c *papyrus.Config) { c.Prefix = prefix }
}

// routes are the routes below /v1 that the API has, but those that verify keys: a method and a path each.
func (r rig) routes() []*echo.Route {
	var routes []*echo.Route
	for _, route := range r.api.Routes() {
		if strings.HasPrefix(route.Path, "/v1/") && !strings.HasPrefix(route.Path, verifyPath) {
			routes = append(routes, route)
		}
	}
	return routes
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustKeep keeps a key that change makes different, and returns it with its token.
func (r rig) mustKeep(t *testing.T, change func(*apikey.Key)) (apikey.Key, string) {
	t.Helper()
	random := sha256.Sum256([]byte(uuid.NewString()))
	token := "obtk_" + hex.EncodeToString(random[:])
	k := apikey.Key{
		ID: uuid.NewString(), UserID: r.user, Name: "Zoë 🔑", Tier: "new", Prefix: token[:8],
		Hash: sha256.Sum256([]byte(token)), CreatedAt: noon,
	}
	change(&k)
	_, err := r.db.CreateKey(t.Context(), k, 100, apikey.Issue{}, audit.New(t.Context(), noon, audit.KeyIssued, k.UserID))
	must(t, err)
	return k, token
}

// do makes a request with headers, a name and a value each.
func (r rig) do(method, target string, headers ...string) *httptest.ResponseRecorder {
	return r.send(method, target, "", headers...)
}

// send makes a request with a body.
func (r rig) send(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// post makes a request of an API's endpoint, "" for a bearer being nobody.
func (r rig) post(endpoint, body, bearer string) *httptest.ResponseRecorder {
	return r.call("POST", endpoint, body, bearer)
}

func (r rig) call(method, endpoint, body, bearer string) *httptest.ResponseRecorder {
	if bearer == "" {
		return r.send(method, "/v1"+endpoint, body)
	}
	return r.send(method, "/v1"+endpoint, body, "Authorization", "Bearer "+bearer)
}

// check compares an answer with the exact body that is wanted, and holds it to what every answer is.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got := strings.TrimSuffix(w.Body.String(), "\n"); w.Code != status || got != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, got, status, body)
	}
	h := w.Header()
	bodiless := status == http.StatusNoContent || status == http.StatusFound || status == http.StatusNotModified
	if kind := h.Get("Content-Type"); !bodiless && kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	if challenged := h.Get("WWW-Authenticate") == "Bearer"; challenged != (status == http.StatusUnauthorized) {
		t.Errorf("WWW-Authenticate %q with %d", h.Get("WWW-Authenticate"), status)
	}
	if h.Get("Vary") != "Origin" || h.Get("X-Request-Id") == "" {
		t.Errorf("Vary %q, x-request-id %q", h.Get("Vary"), h.Get("X-Request-Id"))
	}
}

// checkNoStore wants an answer that is nobody's to keep.
func checkNoStore(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

// refused is the body of an error.
func refused(code, message string) string {
	return `{"error":{"code":"` + code + `","message":"` + message + `","details":{}}}`
}

// invalid is the body of a 422 that blames fields, a name and a message each.
func invalid(fields ...string) string {
	list := []string{}
	for i := 0; i < len(fields); i += 2 {
		list = append(list, `{"field":"`+fields[i]+`","message":"`+fields[i+1]+`"}`)
	}
	return `{"error":{"code":"VALIDATION_ERROR","message":"Some fields are missing or wrong","details":{"fields":[` + strings.Join(list, ",") + `]}}}`
}

const (
	notObject = `{"error":{"code":"VALIDATION_ERROR","message":"The body must be one JSON object, in UTF-8, with no name twice","details":{"fields":[]}}}`

	required       = "is required"
	notString      = "must be a string"
	notEmail       = "must be an email address"
	notDisplayName = "must be 1 to 100 characters without control characters"
)

var (
	noToken        = refused("UNAUTHORIZED", "An access token is needed")
	badToken       = refused("INVALID_TOKEN", "The access token is invalid or expired")
	sessionEnded   = refused("SESSION_REVOKED", "The session has ended")
	badCredentials = refused("UNAUTHORIZED", "Invalid email or password")
	wrongPassword  = refused("VALIDATION_ERROR", "The password is wrong")
	rateLimited    = refused("RATE_LIMITED", "too many requests")
)

// object returns v as JSON.
func object(v map[string]any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func credentials(email, password string) string {
	return object(map[string]any{"email": email, "password": password})
}

func registration(email string) string {
	return object(map[string]any{"email": email, "password": right, "display_name": "Zoë"})
}

// grant is what a test reads of AuthTokens.
type grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	User    struct {
		ID string `json:"user_id"`
	} `json:"user"`
}

func mustGrant(t testing.TB, w *httptest.ResponseRecorder) grant {
	t.Helper()
	var g grant
	if err := json.Unmarshal(w.Body.Bytes(), &g); err != nil || w.Code >= 300 || g.Access == "" {
		t.Fatalf("no tokens: %d %s, %v", w.Code, w.Body, err)
	}
	return g
}

func (r rig) mustRegister(t testing.TB, email string) grant {
	t.Helper()
	return mustGrant(t, r.post("/auth/register", registration(email), ""))
}

func (r rig) mustLogIn(t testing.TB, email string) grant {
	t.Helper()
	return mustGrant(t, r.post("/auth/login", credentials(email, right), ""))
}

func (r rig) refresh(refreshToken string) *httptest.ResponseRecorder {
	return r.post("/auth/refresh", object(map[string]any{"refresh_token": refreshToken}), "")
}

// mustDisable disables an account as an operator does.
func (r rig) mustDisable(t testing.TB, userID string) {
	t.Helper()
	must(t, r.db.SetDisabled(t.Context(), userID, r.clock.Time, audit.New(t.Context(), r.clock.Time, audit.Disabled, userID)))
}

// wantUser is the User object of somebody who registered, and signed in last, at noon.
func wantUser(id, email string) string {
	return `{"user_id":"` + id + `","email":"` + email + `","display_name":"Zoë","avatar_url":null,"email_verified":false,` +
		`"created_at":"2026-03-20T12:00:00Z","last_login_at":"2026-03-20T12:00:00Z"}`
}

// wantTokens are the AuthTokens that g was read from.
func wantTokens(g grant, user string) string {
	return `{"access_token":"` + g.Access + `","refresh_token":"` + g.Refresh + `","token_type":"Bearer","expires_in":3600,"user":` + user + `}`
}
