package receiver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/supabase"
	"github.com/provisioner/provisioner/test/openapi"
)

const (
	jsonType  = "application/json; charset=utf-8"
	bodyLimit = 4096
	window    = 5 * time.Minute
	origin    = "https://app.example.com"

	userJSON  = `{"id":"u1","aud":"authenticated","role":"authenticated","email":"reader@example.com"}`
	keyJSON   = `{"token":"obtk_0123","keyId":"id1","prefix":"obtk_012","tier":"new"}`
	keyBody   = `{"action":"provision_api_key","jwt":"a.b.c","name":"laptop","tier":"new"}`
	eventBody = `{"action":"ping","userId":"u1","sentAt":"2026-03-20T10:15:30.000Z"}`
)

var noon = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// transport is a network on which every host is one function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// project is a Supabase project: its answers for GET /auth/v1/user and for the function that makes keys.
func project(user, key func() (*http.Response, error)) transport {
	return func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/auth/v1/user" {
			return user()
		}
		return key()
	}
}

func says(status int, body string) func() (*http.Response, error) {
	return func() (*http.Response, error) { return reply(status, body), nil }
}

func fails(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

var healthy = project(says(200, userJSON), says(200, keyJSON))

// setUp is what differs between receivers; zero fields take what works.
type setUp struct {
	project transport
	nonces  replay.Store
	claims  idempotency.Store
	log     *slog.Logger
}

// rig is a receiver over a store of its own, at noon.
type rig struct {
	http.Handler // the api, each exchange held to its document
	api          http.Handler
	db           *store.DB
	keys         *signing.Keyring
}

func newStore(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Engine: store.SQLite, Path: filepath.Join(t.TempDir(), "provisioner.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func newRig(t *testing.T, db *store.DB, s setUp) rig {
	t.Helper()
	keys, err := signing.NewKeyring([]signing.Key{{ID: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")}}, "k1")
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	if err != nil {
		t.Fatal(err)
	}
	if s.project == nil {
		s.project = healthy
	}
	if s.nonces == nil {
		s.nonces = db
	}
	if s.claims == nil {
		s.claims = db
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	now := func() time.Time { return noon }
	identity := supabase.NewClient("https://project.supabase.test", secret.New("anon"), s.project)
	api := receiver.New(receiver.Config{
		Options: httpapi.Options{
			Log: s.log, Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins([]string{origin}),
		},
		Verifier: signing.NewVerifier(keys, window, now),
		Receiver: provision.NewReceiver(provision.ReceiverConfig{
			Guard: replay.NewGuard(s.nonces), Users: identity, Keys: identity, Intents: idempotency.NewDoer(s.claims, sealer, now),
			Tiers: []string{"new", "pro"}, Now: now, Log: s.log,
		}),
		BodyLimit: bodyLimit,
	})
	return rig{db: db, keys: keys, api: api, Handler: openapi.NewValidator(t, receiver.Document).Handler(api)}
}

// moments makes every signature of the tests another one.
var moments atomic.Int64

// signed returns a request to /inbox that is signed now, each at a millisecond of its own.
func (r rig) signed(t *testing.T, body string) *http.Request {
	t.Helper()
	return r.signedAt(t, noon.Add(time.Duration(moments.Add(1)-1)*time.Millisecond), body)
}

func (r rig) signedAt(t *testing.T, at time.Time, body string) *http.Request {
	t.Helper()
	headers, err := r.keys.Sign(at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/inbox", strings.NewReader(body))
	headers.Apply(req.Header)
	return req
}

func (r rig) do(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// edit changes a signed request before it is sent.
type edit func(*http.Request)

// with sets a header to values, with none it takes it away.
func with(name string, values ...string) edit {
	return func(r *http.Request) {
		r.Header.Del(name)
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
}

// check holds a response to a status, an exact body and to what stands on every response.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	got := strings.TrimSuffix(w.Body.String(), "\n")
	if w.Code != status || got != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, got, status, body)
	}
	h := w.Header()
	if h.Get("Content-Type") != jsonType || h.Get("Vary") != "Origin" || h.Get("X-Request-Id") == "" {
		t.Errorf("headers of every response: %v", h)
	}
}

// storeDown is a store of nonces and claims that cannot be reached.
type storeDown struct{ idempotency.Store }

var errDown = apierror.Unavailable(errors.New("connection refused by db.internal"))

func (storeDown) Admit(context.Context, []replay.Admission) ([]bool, error) { return nil, errDown }

func (storeDown) Claim(context.Context, idempotency.Claim, time.Time) (idempotency.Claim, error) {
	return idempotency.Claim{}, errDown
}
