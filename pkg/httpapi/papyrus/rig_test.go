package papyrus_test

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/store"
)

const origin = "https://app.example.com"

var (
	noon  = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	tiers = []apikey.Tier{{Name: "new", Keys: 3, PerMinute: 2}, {Name: "pro", Keys: 25, PerMinute: 600}}
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// rig is the accounts service without the Supabase API, with one account, at noon.
type rig struct {
	http.Handler
	db    *store.DB
	clock *clock
	user  string
}

func newRig(t *testing.T) rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	must(t, db.Migrate(t.Context()))
	u := account.User{ID: uuid.NewString(), Email: "reader@example.com", DisplayName: "reader", Plan: "new", CreatedAt: noon}
	must(t, db.CreateUser(t.Context(), u, "hash"))

	c := &clock{noon}
	log := slog.New(slog.DiscardHandler)
	handler := papyrus.New(papyrus.Config{
		Options: httpapi.Options{Log: log, Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins([]string{origin})},
		Keys:    apikey.New(apikey.Config{Store: db, Prefix: "obtk_", Tiers: tiers, Now: c.now, Log: log}),
		Limiter: ratelimit.NewMemory(c.now),
	})
	return rig{Handler: handler, db: db, clock: c, user: u.ID}
}

func must(t *testing.T, err error) {
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
	_, err := r.db.CreateKey(t.Context(), k, 100, apikey.Issue{})
	must(t, err)
	return k, token
}

// do makes a request with headers, a name and a value each.
func (r rig) do(method, target string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// check compares an answer with the exact body that is wanted, and holds it to what every answer is.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got := strings.TrimSuffix(w.Body.String(), "\n"); w.Code != status || got != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, got, status, body)
	}
	h := w.Header()
	if kind := h.Get("Content-Type"); status != http.StatusNoContent && kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	if challenged := h.Get("WWW-Authenticate") == "Bearer"; challenged != (status == http.StatusUnauthorized) {
		t.Errorf("WWW-Authenticate %q with %d", h.Get("WWW-Authenticate"), status)
	}
	if h.Get("Vary") != "Origin" || h.Get("X-Request-Id") == "" {
		t.Errorf("Vary %q, x-request-id %q", h.Get("Vary"), h.Get("X-Request-Id"))
	}
}
