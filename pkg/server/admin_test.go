package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// ask returns status and body of what h answers.
func ask(h http.Handler, method, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func newReadiness(log *logBuffer, checks ...Check) *readiness {
	return &readiness{log: NewLogger(log, "json", 0), draining: new(atomic.Bool), checks: checks}
}

func TestAdmin(t *testing.T) {
	h := newAdmin(newReadiness(&logBuffer{}), prometheus.NewRegistry())
	for _, tt := range []struct {
		name, method, path string
		status             int
		body               string
	}{
		{"alive", "GET", "/livez", 200, `{"status":"ok"}`},
		{"ready without checks", "GET", "/readyz", 200, `{"status":"ok"}`},
		{"HEAD is a GET", "HEAD", "/readyz", 200, `{"status":"ok"}`},
		{"no metrics", "GET", "/metrics", 200, ""},
		{"an unknown path", "GET", "/", 404, `{"error":"not found: try /livez, /readyz or /metrics","code":"NOT_FOUND"}`},
		{"a path to be cleaned", "GET", "//livez", 404, `{"error":"not found: try /livez, /readyz or /metrics","code":"NOT_FOUND"}`},
		{"another method", "POST", "/metrics", 405, `{"error":"method not allowed","code":"METHOD_NOT_ALLOWED"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, body := ask(h, tt.method, tt.path); status != tt.status || body != tt.body {
				t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, status, body, tt.status, tt.body)
			}
		})
	}
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked int
		down := errors.New("dial: refused")
		log := &logBuffer{}
		r := newReadiness(log,
			Check{"database", func(context.Context) error { asked++; return down }},
			Check{"slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			Check{"fine", func(context.Context) error { return nil }})
		for range 100 {
			status, body := ask(r, "GET", "/readyz")
			if status != 503 || body != `{"status":"unavailable","failing":["database","slow"]}` {
				t.Fatalf("/readyz = %d %s", status, body)
			}
		}
		if asked != 1 {
			t.Errorf("the database was asked %d times", asked)
		}

		down = nil
		r.checks = r.checks[:1]
		time.Sleep(checkedFor) // fake time
		if status, body := ask(r, "GET", "/readyz"); status != 200 || body != `{"status":"ok"}` {
			t.Errorf("/readyz after recovery = %d %s", status, body)
		}
		for _, want := range []string{`"msg":"not ready","check":"database","err":"dial: refused"`, `"msg":"ready again"`} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("the log does not say once %s:\n%s", want, log)
			}
		}
	})
}

func TestAdminListener(t *testing.T) {
	var down atomic.Bool
	r := newRig(t, http.NotFoundHandler(), Check{"database", func(context.Context) error {
		if down.Load() {
			return errors.New("down")
		}
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)
	metrics := r.get(t, "admin", "/metrics").body
	for _, want := range []string{"\ngo_goroutines ", "\nprocess_open_fds "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics does not have %q", want)
		}
	}

	ready := "http://" + r.addrs["admin"] + "/readyz"
	if err := Healthcheck(t.Context(), ready); err != nil {
		t.Errorf("Healthcheck() = %v", err)
	}
	down.Store(true)
	eventually(t, "the failing check is named", func() bool {
		err := Healthcheck(t.Context(), ready)
		return err != nil && err.Error() == "not ready: failing: database"
	})
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestHealthcheck(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"draining", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 503, status{Status: "draining"}) }, "not ready: draining"},
		{"something else listens there", http.NotFound, "not ready: the answer is 404 Not Found"},
		{"a redirect is not followed", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/livez", http.StatusFound) }, "not ready: the answer is 302 Found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			got := ""
			if err := Healthcheck(t.Context(), s.URL); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Healthcheck() (-want +got):\n%s", diff)
			}
		})
	}
	if err := Healthcheck(t.Context(), "http://127.0.0.1:1/readyz"); err == nil {
		t.Error("a healthcheck without a server succeeds")
	}
}
