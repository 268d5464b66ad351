package syncapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/syncapi"
	"github.com/provisioner/provisioner/pkg/syncstream"
	"github.com/provisioner/provisioner/pkg/token"
	"github.com/provisioner/provisioner/test/openapi"
)

const origin = "https://app.example.com"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// verifier takes tokens that say what becomes of them.
type verifier struct{}

func (verifier) Verify(_ context.Context, raw string) (string, time.Time, error) {
	switch raw {
	case "expired":
		return "", time.Time{}, errors.Join(token.ErrInvalid, token.ErrExpired)
	case "elsewhere":
		return "", time.Time{}, errors.Join(token.ErrInvalid, token.ErrAudience)
	case "endless":
		return "", time.Time{}, errors.Join(token.ErrInvalid, token.ErrTooLong)
	case "forged":
		return "", time.Time{}, token.ErrInvalid
	case "outage":
		return "", time.Time{}, apierror.Unavailable(errors.New("no answer"))
	}
	return raw, time.Now().Add(time.Hour), nil
}

// store is a Store and a Changes in memory, of one bucket that all users share.
type store struct {
	mu          sync.Mutex
	ops         []syncstream.Op
	checksum    uint32
	writes      map[string]int64 // by user and client
	subscribers []func(string)
	err         error
}

func (s *store) OnChange(f func(string)) { s.subscribers = append(s.subscribers, f) }

func (s *store) Snapshot(_ context.Context, userID, clientID string) (syncstream.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if userID == "gone" {
		return syncstream.Snapshot{}, syncstream.ErrNoUser
	}
	n := int64(len(s.ops))
	return syncstream.Snapshot{
		Head: n, WriteCheckpoint: s.writes[userID+clientID],
		Buckets: []syncstream.Bucket{{Stream: "user_books", Checksum: s.checksum, Count: n}},
	}, s.err
}

func (s *store) Ops(_ context.Context, p syncstream.Page) ([]syncstream.Op, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops[p.After:min(p.UpTo, p.After+int64(p.Ops))], nil
}

func (s *store) Compacted(context.Context, string, string) (int64, error) { return 0, nil }

func (s *store) WriteCheckpoint(_ context.Context, userID, clientID string, atLeast int64, _ time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if userID == "gone" {
		return 0, syncstream.ErrNoUser
	}
	if atLeast == 0 {
		atLeast = s.writes[userID+clientID] + 1
	}
	s.writes[userID+clientID] = max(s.writes[userID+clientID], atLeast)
	return s.writes[userID+clientID], s.err
}

// commit appends an operation, and tells of it.
func (s *store) commit(op syncstream.Op) {
	s.mu.Lock()
	op.ID = int64(len(s.ops) + 1)
	s.ops = append(s.ops, op)
	s.checksum += op.Checksum
	s.mu.Unlock()
	for _, f := range s.subscribers {
		f("")
	}
}

// rig is the API over a store in memory.
type rig struct {
	http.Handler
	store   *store
	streams *syncstream.Streams
	metrics *prometheus.Registry
	ready   error
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{store: &store{writes: map[string]int64{}}, metrics: prometheus.NewRegistry()}
	r.streams = syncstream.New(syncstream.Config{
		Store: r.store, Changes: r.store, Definitions: []syncstream.Definition{{Name: "user_books", Priority: 1}},
		Max: 2000, MaxPerUser: 1, Now: time.Now,
	})
	log := slog.New(slog.DiscardHandler)
	e := httpapi.New(httpapi.Options{
		Service: "papyrus", Log: log, Metrics: r.metrics, Origins: middleware.NewOrigins([]string{origin}),
		CORS:    middleware.CORSHeaders{Methods: "POST", Headers: "authorization"},
		Dialect: func(string) apierror.Dialect { return apierror.PowerSync },
	})
	syncapi.Mount(syncapi.Config{
		Streams: r.streams, Tokens: verifier{}, Ready: func(context.Context) error { return r.ready }, Log: log,
	})(e)
	r.Handler = e
	return r
}

// ask returns what the API answers to a request that opens no stream. The exchange is held to the document.
func (r *rig) ask(t *testing.T, method, path, authorization, body string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	if authorization != "" {
		req.Header.Set(echo.HeaderAuthorization, authorization)
	}
	w := httptest.NewRecorder()
	openapi.NewValidator(t, papyrus.Document).Handler(r).ServeHTTP(w, req)
	return w
}

// open opens a stream of u1 over TCP, which ends with the test.
func (r *rig) open(t *testing.T, s *httptest.Server, header http.Header, body string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/sync/stream", strings.NewReader(body))
	must(t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set(echo.HeaderAuthorization, "Token u1")
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	must(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// serve serves the API, until the test ends.
func (r *rig) serve(t *testing.T, change func(*http.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(r)
	change(s.Config)
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func readAll(t *testing.T, body io.Reader) string {
	t.Helper()
	out, err := io.ReadAll(body)
	must(t, err)
	return string(out)
}

// eventually returns when what has come about, and ends the test if that takes too long.
func eventually(t *testing.T, what string, hasCome func() bool) {
	t.Helper()
	const patience = 10 * time.Second
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !hasCome(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
