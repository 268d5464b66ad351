package provisioning_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
)

// transport answers each try with the next of its functions, and the last one for ever.
type transport struct {
	answers []func(*http.Request) (*http.Response, error)
	bodies  []string
	keys    map[string]bool
}

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	next := tr.answers[min(len(tr.bodies), len(tr.answers)-1)]
	tr.bodies = append(tr.bodies, string(body))
	tr.keys[r.Header.Get("Idempotency-Key")] = true
	return next(r)
}

func status(code int, body string, header ...string) func(*http.Request) (*http.Response, error) {
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

func fails(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestCalls(t *testing.T) {
	ok := status(200, `{"ok":true,"received":{}}`)
	for _, tt := range []struct {
		name    string
		answers []func(*http.Request) (*http.Response, error)
		want    provisioning.Result
		tries   int
		delays  []time.Duration
		tracked int
	}{
		{"success", one(ok), provisioning.Success{Data: map[string]any{"ok": true, "received": map[string]any{}}}, 1, nil, 0},
		{"500, then success", two(status(500, `{}`), ok), provisioning.Success{Data: map[string]any{"ok": true, "received": map[string]any{}}}, 2, seconds(1), 0},
		{"500 for ever", one(status(500, `{"error":"boom"}`)), provisioning.Error{Message: provisioning.MessageServer, Status: 500}, 3, seconds(1, 2), 0},
		{"504 for ever", one(status(504, `{"code":"RECEIVER_TIMEOUT"}`)), provisioning.Error{Message: provisioning.MessageServer, Code: "RECEIVER_TIMEOUT", Status: 504}, 3, seconds(1, 2), 0},
		{"503 waits as long as it is told", one(status(503, `{"error":"busy","code":"X"}`, "Retry-After", "5")), provisioning.Error{Message: "busy", Code: "X", Status: 503}, 3, seconds(5, 5), 0},
		{"503 for longer than anybody waits is final", one(status(503, `{"error":"busy","code":"X"}`, "Retry-After", "31")), provisioning.Error{Message: "busy", Code: "X", Status: 503}, 1, nil, 0},
		{"400 is final", one(status(400, `{"error":"bad","code":"MISSING_FIELDS"}`)), provisioning.Error{Message: "bad", Code: "MISSING_FIELDS", Status: 400}, 1, nil, 0},
		{"400 without text", one(status(400, `{}`)), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 400}, 1, nil, 0},
		{"200 that is not ok", one(status(200, `{"ok":false}`)), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 200}, 1, nil, 0},
		{"an answer that is no JSON", one(status(200, `<html>`)), provisioning.Error{Message: provisioning.MessageUnexpected, Status: 200}, 1, nil, 0},
		{"no connection", one(fails(errors.New("refused"))), provisioning.Error{Message: provisioning.MessageNetwork}, 3, seconds(1, 2), 1},
		{"time-outs", one(fails(timeoutError{})), provisioning.Error{Message: provisioning.MessageTimeout}, 3, seconds(1, 2), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &transport{answers: tt.answers, keys: map[string]bool{}}
			var delays []time.Duration
			tracked := 0
			client := provisioning.New("http://sender.test/",
				provisioning.WithHTTPClient(&http.Client{Transport: tr}),
				provisioning.WithDelay(func(_ context.Context, d time.Duration) error { delays = append(delays, d); return nil }),
				provisioning.WithErrorTracking(func(context.Context, string, error) { tracked++ }))

			got := client.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: time.Now()})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if len(tr.bodies) != tt.tries || tracked != tt.tracked || len(tr.keys) != 1 || !cmp.Equal(delays, tt.delays) {
				t.Errorf("%d tries, %d tracked, %d idempotency keys, delays %v; want %d, %d, 1, %v", len(tr.bodies), tracked, len(tr.keys), delays, tt.tries, tt.tracked, tt.delays)
			}
		})
	}
}

func one(f func(*http.Request) (*http.Response, error)) []func(*http.Request) (*http.Response, error) {
	return []func(*http.Request) (*http.Response, error){f}
}

func two(f, g func(*http.Request) (*http.Response, error)) []func(*http.Request) (*http.Response, error) {
	return []func(*http.Request) (*http.Response, error){f, g}
}

func seconds(n ...int) []time.Duration {
	out := make([]time.Duration, len(n))
	for i := range n {
		out[i] = time.Duration(n[i]) * time.Second
	}
	return out
}

func TestBodies(t *testing.T) {
	sentAt := time.Date(2026, 3, 20, 11, 15, 30, 0, time.FixedZone("CET", 3600))
	for name, tt := range map[string]struct {
		call func(*provisioning.Client) provisioning.Result
		want map[string]any
	}{
		"an event's time is UTC": {
			func(c *provisioning.Client) provisioning.Result {
				return c.SendEvent(t.Context(), provisioning.Event{UserID: "u1", Action: "ping", SentAt: sentAt})
			},
			map[string]any{"userId": "u1", "action": "ping", "sentAt": "2026-03-20T10:15:30.000Z"},
		},
		"a key request": {
			func(c *provisioning.Client) provisioning.Result {
				return c.ProvisionKey(t.Context(), "a.b.c", "laptop", "new")
			},
			map[string]any{"action": "provision_api_key", "jwt": "a.b.c", "name": "laptop", "tier": "new"},
		},
		"a sign-up": {
			func(c *provisioning.Client) provisioning.Result { return c.SignUp(t.Context(), "a@b.test", "pw") },
			map[string]any{"email": "a@b.test", "password": "pw"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &transport{answers: one(status(201, `{}`)), keys: map[string]bool{}}
			tt.call(provisioning.New("http://sender.test", provisioning.WithHTTPClient(&http.Client{Transport: tr})))
			var got map[string]any
			if err := json.Unmarshal([]byte(tr.bodies[0]), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckHealthWantsHTTPSOutsideLoopback(t *testing.T) {
	tr := &transport{answers: one(status(200, `{"ok":true}`)), keys: map[string]bool{}}
	client := provisioning.New("", provisioning.WithHTTPClient(&http.Client{Transport: bodyless{tr}}))
	for baseURL, want := range map[string]bool{
		"https://receiver.example.com": true, "http://localhost:8788": true, "http://127.0.0.1:8788": true, "http://[::1]:1": true,
		"http://receiver.example.com": false, "ftp://localhost": false, "receiver.example.com": false, "": false, "http://localhost.example.com": false,
	} {
		_, ok := client.CheckHealth(t.Context(), baseURL).(provisioning.Success)
		if ok != want {
			t.Errorf("CheckHealth(%q) succeeds: %v, want %v", baseURL, ok, want)
		}
	}
}

type bodyless struct{ next http.RoundTripper }

func (b bodyless) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Body = http.NoBody
	return b.next.RoundTrip(r)
}

func Example() {
	sender := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok":true,"token":"obtk_…","keyId":"k1","prefix":"obtk_abc","tier":"new"}`)
	}))
	defer sender.Close()

	client := provisioning.New(sender.URL)
	switch r := client.ProvisionKey(context.Background(), "a.b.c", "laptop", "new").(type) {
	case provisioning.Success:
		fmt.Println("key", r.Text("prefix"))
	case provisioning.Error:
		fmt.Println("failed:", r.Message)
	}
	// Output: key obtk_abc
}
