package sender_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/pkg/supabase"
	"github.com/provisioner/provisioner/test/openapi"
)

const (
	jsonType  = "application/json; charset=utf-8"
	bodyLimit = 4096
	origin    = "https://app.example.com"

	credentials = `{"email":"reader@example.com","password":"a long password"}`
	keyBody     = `{"action":"provision_api_key","jwt":"a.b.c","name":"laptop","tier":"new"}`
	eventBody   = `{"action":"ping","userId":"u1","sentAt":"2026-03-20T10:15:30.000Z"}`
	received    = `{"ok":true,"received":` + eventBody + `}` // the receiver's answer

	userJSON    = `{"id":"u1","aud":"authenticated","role":"authenticated","email":"reader@example.com"}`
	sessionJSON = `{"access_token":"a.b.c","token_type":"bearer","expires_in":3600,"expires_at":1700003600,"refresh_token":"r1","user":` + userJSON + `}`
)

// transport is a network on which every host is one function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// says answers everything alike. Header holds names and values by turns.
func says(status int, body string, header ...string) transport {
	return func(*http.Request) (*http.Response, error) {
		h := make(http.Header)
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func fails(err error) transport {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// setUp is what differs between senders; zero fields take what works.
type setUp struct {
	project, receiver http.RoundTripper
	receiverURL       string
	auth, send        ratelimit.Limit // the zero Limit is off
	limiter           ratelimit.Limiter
	proxies           []netip.Prefix
	timeout           time.Duration
	log               *slog.Logger
}

// uncounted is the limiter of senders without limits. It lives outside of synctest's bubbles, which wait for its goroutine.
var uncounted = ratelimit.NewMemory(time.Now)

func newKeys(t *testing.T) *signing.Keyring {
	t.Helper()
	keys, err := signing.NewKeyring([]signing.Key{{ID: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")}}, "k1")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// newHandler returns a sender whose every exchange is held to its document.
func newHandler(t *testing.T, s setUp) http.Handler {
	t.Helper()
	return openapi.NewValidator(t, sender.Document).Handler(newSender(t, s))
}

func newSender(t *testing.T, s setUp) http.Handler {
	t.Helper()
	if s.project == nil {
		s.project = says(200, sessionJSON)
	}
	if s.receiver == nil {
		s.receiver = says(200, received)
	}
	if s.receiverURL == "" {
		s.receiverURL = "http://receiver.test"
	}
	if s.timeout == 0 {
		s.timeout = 8 * time.Second
	}
	if s.limiter == nil {
		s.limiter = uncounted
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return sender.New(sender.Config{
		Options: httpapi.Options{
			Log: s.log, Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins([]string{origin}), TrustedProxies: s.proxies,
		},
		Identity: supabase.NewClient("https://project.supabase.test", secret.New("anon"), s.project),
		Sender:   provision.NewSender(s.receiverURL, newKeys(t), s.receiver, time.Now),
		Limiter:  s.limiter, Auth: s.auth, Send: s.send,
		BodyLimit: bodyLimit, ForwardTimeout: s.timeout, Version: "1.2.3",
		Now: func() time.Time { return time.Date(2026, 3, 20, 12, 15, 30, 7_000_000, time.FixedZone("", 2*60*60)) },
	})
}

// edit changes a request before it is sent.
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

// from sets the address of the connection.
func from(address string) edit {
	return func(r *http.Request) { r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 4711).String() }
}

func post(t *testing.T, h http.Handler, path, body string, edits ...edit) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for _, e := range edits {
		e(req)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
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

// checkHeaders holds headers to names and values by turns.
func checkHeaders(t *testing.T, h http.Header, want ...string) {
	t.Helper()
	for i := 0; i+1 < len(want); i += 2 {
		if got := h.Get(want[i]); got != want[i+1] {
			t.Errorf("%s = %q, want %q", want[i], got, want[i+1])
		}
	}
}
