package vectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/vectors"
)

func TestRetries(t *testing.T) {
	network := newNetwork(t)
	for _, v := range vectors.Load[vectors.Call](t, "retries.json") {
		t.Run(v.Name, func(t *testing.T) {
			network.play(v.Answers)
			got := vectors.Outcome{DelaysMs: []int64{}}
			client := provisioning.New("https://sender.example.com",
				provisioning.WithHTTPClient(&http.Client{Transport: network}),
				provisioning.WithDelay(func(_ context.Context, d time.Duration) error {
					got.DelaysMs = append(got.DelaysMs, d.Milliseconds())
					return nil
				}),
				provisioning.WithErrorTracking(func(context.Context, provisioning.Failure) { got.Tracked++ }))

			var result provisioning.Result
			switch v.Kind {
			case "send":
				result = client.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: time.Now()})
			case "health":
				result = client.CheckHealth(t.Context(), v.URL)
			default:
				t.Fatalf("unknown kind %q", v.Kind)
			}
			switch r := result.(type) {
			case provisioning.Success:
				got.Success = r.Data
			case provisioning.Error:
				got.Error, got.Code = r.Message, r.Code
			}
			got.Requests = len(network.requests)
			if diff := cmp.Diff(v.Want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, r := range network.requests {
				if key := r.Header.Get("Idempotency-Key"); (v.Kind == "send") != (key != "") || key != network.requests[0].Header.Get("Idempotency-Key") {
					t.Errorf("a request with the idempotency key %q", key)
				}
			}
		})
	}
}

func TestTimestamps(t *testing.T) {
	network := newNetwork(t)
	client := provisioning.New("https://sender.example.com", provisioning.WithHTTPClient(&http.Client{Transport: network}))
	for _, v := range vectors.Load[vectors.Timestamp](t, "timestamps.json") {
		if v.Kind != "timestamp" {
			t.Errorf("%s: unknown kind %q", v.Name, v.Kind)
		}
		network.play([]vectors.Answer{{Status: http.StatusOK, Body: `{"ok":true}`}})
		client.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: time.UnixMicro(v.EpochMicroseconds)})
		var sent struct{ SentAt string }
		if err := json.Unmarshal(network.bodies[0], &sent); err != nil || sent.SentAt != v.Text {
			t.Errorf("%s: sent as %q, want %q", v.Name, sent.SentAt, v.Text)
		}
	}
}

// script is what requests get, and those that were made.
type script struct {
	mu       sync.Mutex
	answers  []vectors.Answer
	requests []*http.Request
	bodies   [][]byte
}

func (n *script) play(answers []vectors.Answer) { n.answers, n.requests, n.bodies = answers, nil, nil }

// take takes a request down, and returns its answer.
func (n *script) take(r *http.Request) (vectors.Answer, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests, n.bodies = append(n.requests, r), append(n.bodies, body)
	if len(n.requests) > len(n.answers) {
		return vectors.Answer{}, errors.New("one request too many")
	}
	return n.answers[len(n.requests)-1], nil
}

// network is the way from a client to a server on loopback, for whatever URL.
type network struct {
	script
	server, nobody, stranger *url.URL // answers, refuses connections, has a certificate that nobody vouches for
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(reply))
	t.Cleanup(server.Close)
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	nobody, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	return &network{
		server: parse(t, server.URL), stranger: parse(t, stranger.URL), nobody: parse(t, fmt.Sprintf("http://127.0.0.1:%d", nobody)),
	}
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// scripted is the header in which the server is told its answer.
const scripted = "X-Answer"

// RoundTrip implements [http.RoundTripper].
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := n.take(r)
	if err != nil {
		return nil, err
	}
	to := n.server
	switch answer.Failure {
	case "connectionTimeout", "receiveTimeout":
		return nil, os.ErrDeadlineExceeded
	case "connectionError":
		to = n.nobody
	case "badCertificate":
		to = n.stranger
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = to.Scheme, to.Host, to.Host
	r.Header.Set(scripted, string(text))
	r.Body, r.ContentLength = http.NoBody, 0
	return http.DefaultTransport.RoundTrip(r)
}

// reply gives the answer that the request brings, or breaks the connection.
func reply(w http.ResponseWriter, r *http.Request) {
	var answer vectors.Answer
	if err := json.Unmarshal([]byte(r.Header.Get(scripted)), &answer); err != nil || answer.Failure != "" {
		panic(http.ErrAbortHandler)
	}
	give(w, answer)
}

func give(w http.ResponseWriter, answer vectors.Answer) {
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.Status)
	_, _ = io.WriteString(w, answer.Body)
}
