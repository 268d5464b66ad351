package cmd

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/provisioner/provisioner/config"
)

// newAllHandlers composes "serve all" on a database in a temporary directory and returns the handlers by service name.
func newAllHandlers(tb testing.TB) map[string]http.Handler {
	tb.Helper()
	settings := map[string]string{"DATA_DIR": tb.TempDir(), "RATE_LIMIT_SEND": "off", "RATE_LIMIT_AUTH": "off"}
	cfg, _, err := config.Load(config.Options{
		Service: config.All, Dir: tb.TempDir(),
		LookupEnv: func(name string) (string, bool) { v, ok := settings[name]; return v, ok },
	})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newServices(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, f := range s.closers {
			_ = f()
		}
	})
	apis, err := composeAll(s)
	if err != nil {
		tb.Fatal(err)
	}
	handlers := map[string]http.Handler{}
	for _, api := range apis {
		handlers[api.Name] = api.Handler
	}
	return handlers
}

// BenchmarkSendEventThroughBinding is the whole way of an event in one process, with the middleware, logs apart, and the
// durable commit that production has: sender, signature, receiver, nonce and event in SQLite.
func BenchmarkSendEventThroughBinding(b *testing.B) {
	sender := newAllHandlers(b)["sender"]
	var n atomic.Int64 // equal bodies in one millisecond would be signed twice
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Appendf(nil, `{"userId":"u%d","action":"ping","sentAt":"2026-03-20T10:15:30.000Z"}`, n.Add(1))
			req := httptest.NewRequest(http.MethodPost, "/send", bytes.NewReader(body))
			req.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			sender.ServeHTTP(w, req)
			if w.Code != http.StatusOK {
				b.Fatal(w.Code, w.Body)
			}
		}
	})
}
