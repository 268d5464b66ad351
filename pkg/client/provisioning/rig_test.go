package provisioning_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
)

type reply func(*http.Request) (*http.Response, error)

// rig is a client whose network gives each try the next of some replies, and the last one for ever; it notes what happens.
type rig struct {
	*provisioning.Client
	replies  []reply
	bodies   []string
	keys     []string
	delays   []time.Duration
	failures []provisioning.Failure
}

func newRig(baseURL string, replies ...reply) *rig {
	r := &rig{replies: replies}
	r.Client = provisioning.New(baseURL,
		provisioning.WithHTTPClient(&http.Client{Transport: r}),
		provisioning.WithDelay(func(_ context.Context, d time.Duration) error { r.delays = append(r.delays, d); return nil }),
		provisioning.WithErrorTracking(func(_ context.Context, f provisioning.Failure) { r.failures = append(r.failures, f) }))
	return r
}

func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	next := r.replies[min(len(r.bodies), len(r.replies)-1)]
	r.bodies = append(r.bodies, string(body))
	r.keys = append(r.keys, req.Header.Get("Idempotency-Key"))
	return next(req)
}

func (r *rig) send(t *testing.T) provisioning.Result {
	t.Helper()
	return r.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: time.Now()})
}

func status(code int, body string, header ...string) reply {
	return func(*http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.WriteString(body)
		return w.Result(), nil
	}
}

func fails(err error) reply {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

var errRefused = errors.New("connection refused")

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// mustFail returns the Error that r has to be.
func mustFail(t *testing.T, r provisioning.Result) provisioning.Error {
	t.Helper()
	failed, ok := r.(provisioning.Error)
	if !ok {
		t.Fatalf("the call ends in %#v, want an Error", r)
	}
	return failed
}

func mustSucceed(t *testing.T, r provisioning.Result) provisioning.Success {
	t.Helper()
	done, ok := r.(provisioning.Success)
	if !ok {
		t.Fatalf("the call ends in %#v, want a Success", r)
	}
	return done
}
