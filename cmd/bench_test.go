package cmd

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// BenchmarkSendEventThroughBinding is the whole way of an event in one process, with the middleware, logs apart, and the
// durable commit that production has: sender, signature, receiver, nonce and event in SQLite.
func BenchmarkSendEventThroughBinding(b *testing.B) {
	sender := newAllHandlers(b, map[string]string{})["sender"]
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
