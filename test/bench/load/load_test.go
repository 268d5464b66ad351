package load_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/bench/load"
)

// TestRequestsAreAllDifferent protects the figures: a receiver recognizes an equal body or intent, and does less for it.
func TestRequestsAreAllDifferent(t *testing.T) {
	for _, kind := range []load.Kind{load.Event, load.Provision} {
		t.Run(string(kind), func(t *testing.T) {
			var mu sync.Mutex
			seen := map[string]int{}
			answered := 0
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || !json.Valid(body) || r.URL.Path != "/send" || r.Header.Get("Content-Type") != "application/json" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				seen[string(body)]++
				answered++
			})
			l := load.Load{Kind: kind, Connections: 4, Duration: time.Second}
			for _, name := range []string{"r0", "r1"} {
				result, err := l.Run(t.Context(), url+"/send", name)
				if err != nil || result.Requests == 0 || result.P50 <= 0 || result.P99 < result.P50 || result.Elapsed <= 0 {
					t.Fatalf("Run() = %+v, %v", result, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if len(seen) != answered {
				t.Errorf("%d bodies in %d requests", len(seen), answered)
			}
		})
	}
}

func TestFailedRequestsFailTheRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		url  string
		want string
	}{
		{"an answer that is no success", serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }), "requests failed"},
		{"a lost connection", serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), ""},
		{"nobody there", "http://127.0.0.1:1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := load.Load{Kind: load.Event, Connections: 1, Duration: time.Second}
			if result, err := l.Run(t.Context(), tt.url, "r0"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run() = %+v, %v", result, err)
			}
		})
	}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}
