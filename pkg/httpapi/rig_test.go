package httpapi_test

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

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/binding"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/pkg/httpapi/supabaseapi"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/supabase"
	"github.com/provisioner/provisioner/pkg/token"
)

const (
	jsonType  = "application/json; charset=utf-8"
	origin    = "https://app.example.com"
	eventBody = `{"action":"ping","userId":"u1","sentAt":"2026-03-20T10:15:30.000Z"}`
)

// installation is the three services over one store, joined as in one process.
type installation struct {
	sender, receiver http.Handler
	keys             *signing.Keyring
}

func newInstallation(t *testing.T) installation {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	must(t, db.Migrate(t.Context()))
	keys, err := signing.NewSingleKey([]byte("0123456789abcdef0123456789abcdef"))
	must(t, err)
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	must(t, err)

	limiter := ratelimit.NewMemory(time.Now)
	identity := supabase.NewClient("http://papyrus.internal", secret.New("bound"), binding.NewTransport(newPapyrus(t, db, sealer, limiter)))
	in := receiver.New(receiver.Config{
		Options:  options(),
		Verifier: signing.NewVerifier(keys, 5*time.Minute, time.Now),
		Receiver: provision.NewReceiver(provision.ReceiverConfig{
			Guard: replay.NewGuard(db), Users: identity, Keys: identity, Intents: idempotency.NewDoer(db, sealer, time.Now),
			Tiers: []string{"new", "pro"}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		}),
		BodyLimit: 1 << 16,
	})
	out := sender.New(sender.Config{
		Options: options(), Identity: identity, Limiter: limiter, BodyLimit: 1 << 16, ForwardTimeout: 8 * time.Second, Version: "1.2.3", Now: time.Now,
		Sender: provision.NewSender("http://receiver.internal", keys, binding.NewTransport(in), time.Now),
	})
	return installation{sender: out, receiver: in, keys: keys}
}

func newPapyrus(t *testing.T, db *store.DB, sealer *seal.Sealer, limiter ratelimit.Limiter) http.Handler {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	ring := token.NewKeystore(token.KeystoreConfig{Store: db, Sealer: sealer, Use: token.Access, TTL: time.Hour, Now: time.Now})
	sessions, err := session.NewKeeper(session.Config{
		Store: db, Key: secret.New("a refresh token key of at least 32 bytes"), Sliding: time.Hour, Feed: db, Now: time.Now,
	})
	must(t, err)

	issuer := apikey.New(apikey.Config{
		Store: db, Sealer: sealer, Prefix: "obtk_", Tiers: []apikey.Tier{{Name: "new", Keys: 1, PerMinute: 60}, {Name: "pro", Keys: 25, PerMinute: 600}},
		Now: time.Now, Feed: db, Log: log,
	})
	accounts := account.New(account.Config{
		Store: db, Hasher: password.NewHasher(password.Params{Memory: 64, Time: 1, Threads: 1}, 0), Policy: password.NewPolicy(false),
		Sessions: sessions, Tokens: token.NewAccessIssuer(ring, "http://papyrus.internal/auth/v1", time.Hour, time.Now),
		Refusals: audit.NewRefusals(db, log), Plan: "new", Now: time.Now, Log: log,
	})
	return papyrus.New(papyrus.Config{
		Options: options(), Accounts: accounts, Keys: issuer, Audit: db, Events: db, Limiter: limiter, BodyLimit: 1 << 16, Prefix: "/v1",
		PublicBaseURL: &url.URL{Scheme: "http", Host: "papyrus.internal"},
	}, supabaseapi.Mount(supabaseapi.Config{
		Accounts: accounts, Keys: issuer, AccessKeys: ring, Limiter: limiter, BodyLimit: 1 << 16, Version: "1.2.3", Log: log,
	}))
}

func options() httpapi.Options {
	return httpapi.Options{
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins([]string{origin}),
	}
}

// newEcho returns a service with the routes of a test.
func newEcho(log *slog.Logger, routes func(*echo.Echo)) http.Handler {
	o := options()
	o.Service, o.Dialect, o.CORS = "test", httpapi.FlatDialect, httpapi.ProvisioningCORS
	if log != nil {
		o.Log = log
	}
	e := httpapi.New(o)
	routes(e)
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// post sends a JSON body. Header holds names and values by turns.
func post(t *testing.T, h http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// signed sends a body to the receiver's inbox, under the signature of what was signed.
func (i installation) signed(t *testing.T, at time.Time, signed, body string) *httptest.ResponseRecorder {
	t.Helper()
	headers, err := i.keys.Sign(at, []byte(signed))
	must(t, err)
	return post(t, i.receiver, "/inbox", body, "X-Timestamp", headers.Timestamp, "X-Signature", headers.Signature)
}

// mustSignUp returns the JWT of a new account.
func (i installation) mustSignUp(t *testing.T, email string) string {
	t.Helper()
	w := post(t, i.sender, "/signup", `{"email":"`+email+`","password":"Correct-Horse-7-Battery"}`)
	var said struct {
		JWT string `json:"jwt"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != 201 || said.JWT == "" {
		t.Fatalf("sign-up: %d %s", w.Code, w.Body)
	}
	return said.JWT
}

// check holds a response to a status, an exact body and to what stands on every response.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got := strings.TrimSuffix(w.Body.String(), "\n"); w.Code != status || got != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, got, status, body)
	}
	if h := w.Header(); h.Get("Content-Type") != jsonType || h.Get("Vary") != "Origin" || h.Get("X-Request-Id") == "" {
		t.Errorf("headers of every response: %v", h)
	}
}
