package sender_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/signing"
)

// signatures verifies and remembers the signatures of the tries that reach a receiver.
type signatures struct {
	t        *testing.T
	verifier *signing.Verifier
	seen     map[string]bool
}

func newSignatures(t *testing.T) *signatures {
	t.Helper()
	return &signatures{t: t, verifier: signing.NewVerifier(newKeys(t), 5*time.Minute, time.Now), seen: map[string]bool{}}
}

func (s *signatures) note(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	headers, err := signing.FromHTTP(r.Header)
	if err != nil {
		s.t.Error(err)
	}
	if _, err := s.verifier.Verify(headers, body); err != nil || s.seen[headers.Signature] {
		s.t.Errorf("a signature is wrong or used twice: %v", err)
	}
	s.seen[headers.Signature] = true
}

// flaky is a listener that closes its first connections.
type flaky struct {
	net.Listener
	left atomic.Int32
}

func (l *flaky) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.left.Add(-1) < 0 {
			return c, err
		}
		_ = c.Close()
	}
}

func TestSendTriesAgainAfterLostConnections(t *testing.T) {
	tries := newSignatures(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.note(r)
		_, _ = io.WriteString(w, received)
	}))
	lossy := &flaky{Listener: srv.Listener}
	lossy.left.Store(3)
	srv.Listener = lossy
	srv.Start()
	defer srv.Close()

	h := newHandler(t, setUp{receiver: srv.Client().Transport, receiverURL: srv.URL})
	check(t, post(t, h, "/send", eventBody), 200, received)
	if len(tries.seen) != 1 {
		t.Errorf("%d requests arrived", len(tries.seen))
	}
}

func TestSendTriesAgainWithAFreshSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, lose := range map[string]transport{
			"after an answer that was lost":       fails(errors.New("connection reset by peer")),
			"after two equal ones in one instant": says(409, `{"error":"replay detected","code":"REPLAY_DETECTED"}`),
			"after one that a Worker took so":     says(409, `{"error":"replay detected"}`),
		} {
			tries := newSignatures(t)
			h := newHandler(t, setUp{receiver: transport(func(r *http.Request) (*http.Response, error) {
				tries.note(r)
				if len(tries.seen) < 3 {
					return lose(r)
				}
				return says(200, received)(r)
			})})
			w := post(t, h, "/send", eventBody)
			check(t, w, 200, received)
			if len(tries.seen) != 3 {
				t.Errorf("%s: %d tries", name, len(tries.seen))
			}
		}
	})
}

func TestSendDoesNotTryAgain(t *testing.T) {
	for name, answer := range map[string]transport{
		"a success":                  says(200, received),
		"a fault of the receiver":    says(500, `{"error":"x","code":"INTERNAL_ERROR"}`),
		"an outage of its own peers": says(504, `{"error":"x","code":"PROVISION_TIMEOUT"}`),
		"a wrong signature":          says(401, `{"error":"x","code":"INVALID_SIGNATURE"}`),
		"a page":                     says(200, `<html>`),
	} {
		tries := 0
		post(t, newHandler(t, setUp{receiver: transport(func(r *http.Request) (*http.Response, error) {
			tries++
			return answer(r)
		})}), "/send", eventBody)
		if tries != 1 {
			t.Errorf("%s: %d tries", name, tries)
		}
	}
}

func TestSendEndsWithItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := newHandler(t, setUp{receiver: transport(hangs), timeout: 8 * time.Second})
		check(t, post(t, h, "/send", eventBody), 504, `{"error":"the receiver did not answer in time","code":"RECEIVER_TIMEOUT"}`)
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestSendWithAReceiverDown holds that a receiver that is down is soon told, that the circuit spares it, and that it closes again.
func TestSendWithAReceiverDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, up := 0, false
		h := newHandler(t, setUp{receiver: transport(func(r *http.Request) (*http.Response, error) {
			tries++
			if up {
				return says(200, received)(r)
			}
			return nil, errors.New("connection refused")
		})})
		start := time.Now()
		for range 10 {
			check(t, post(t, h, "/send", eventBody), 502, unreachable)
		}
		if took := time.Since(start); tries >= 50 || took > 20*time.Second {
			t.Errorf("%d tries in %v", tries, took)
		}
		up = true
		time.Sleep(500 * time.Millisecond) // of the bubble's clock: until the circuit lets one through
		check(t, post(t, h, "/send", eventBody), 200, received)
	})
}
