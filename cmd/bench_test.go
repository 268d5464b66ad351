package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/token"
	"github.com/provisioner/provisioner/test/postgres"
)

// BenchmarkSendEventThroughBinding is the whole way of an event in one process, with the middleware, logs apart, and the
// durable commit that production has: sender, signature, receiver, nonce and event in SQLite.
func BenchmarkSendEventThroughBinding(b *testing.B) {
	sender := newAllHandlers(b, map[string]string{})["sender"]
	var n atomic.Int64 // equal bodies in one millisecond would be signed twice
	b.ReportAllocs()
	b.SetParallelism(32)
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

// onBothStores runs a benchmark of the accounts service over SQLite and over Postgres.
func onBothStores(b *testing.B, run func(b *testing.B, h http.Handler)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { run(b, newAllHandlers(b, map[string]string{})["papyrus"]) })
	b.Run("postgres", func(b *testing.B) {
		key, err := token.NewKey(token.Access)
		if err != nil {
			b.Fatal(err)
		}
		run(b, newAllHandlers(b, map[string]string{
			"DATABASE_URL": postgres.NewDatabase(b), "SEAL_KEY": strings.Repeat("s", 32), "REFRESH_TOKEN_KEY": strings.Repeat("r", 32),
			"ACCESS_JWT_PRIVATE_KEY": key.Reveal(),
		})["papyrus"])
	})
}

// call posts a request and returns the members of the answer.
func call(b *testing.B, h http.Handler, path, bearer, body string) map[string]any {
	b.Helper()
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+bearer)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	var said map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code > 299 {
		b.Fatal(path, w.Code, w.Body, err)
	}
	return said
}

const (
	benchPassword = "correct horse battery"
	benchLogin    = `{"email":"reader@example.com","password":"` + benchPassword + `"}`
)

func mustRegister(b *testing.B, h http.Handler) map[string]any {
	b.Helper()
	return call(b, h, "/v1/auth/register", "",
		`{"email":"reader@example.com","password":"`+benchPassword+`","display_name":"Reader"}`)
}

// BenchmarkLoginAgainstBareHash reports what a login costs as a multiple of the one hash in it: the median of rounds that take turns.
func BenchmarkLoginAgainstBareHash(b *testing.B) {
	onBothStores(b, func(b *testing.B, h http.Handler) {
		b.Helper()
		mustRegister(b, h)
		hasher, pass := password.NewHasher(password.OWASP, 0), secret.New(benchPassword)
		hash, err := hasher.Hash(b.Context(), pass)
		if err != nil {
			b.Fatal(err)
		}
		var ratios []float64
		for b.Loop() {
			start := time.Now()
			if ok, _, err := hasher.Verify(b.Context(), hash, pass); !ok || err != nil {
				b.Fatal(ok, err)
			}
			bare := time.Since(start)
			start = time.Now()
			call(b, h, "/v1/auth/login", "", benchLogin)
			ratios = append(ratios, float64(time.Since(start))/float64(bare))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "x-bare")
	})
}

// BenchmarkRefresh is one session that is refreshed over and over: a durable step of its counter each.
func BenchmarkRefresh(b *testing.B) {
	onBothStores(b, func(b *testing.B, h http.Handler) {
		b.Helper()
		said := mustRegister(b, h)
		for b.Loop() {
			said = call(b, h, "/v1/auth/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, said["refresh_token"]))
		}
	})
}

// BenchmarkRefreshOfMany is as many sessions as processors, refreshed side by side.
func BenchmarkRefreshOfMany(b *testing.B) {
	onBothStores(b, func(b *testing.B, h http.Handler) {
		b.Helper()
		mustRegister(b, h)
		b.RunParallel(func(pb *testing.PB) {
			said := call(b, h, "/v1/auth/login", "", benchLogin)
			for pb.Next() {
				said = call(b, h, "/v1/auth/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, said["refresh_token"]))
			}
		})
	})
}

// BenchmarkPowerSyncToken asks with an access token whose session was looked at a moment ago: what is left is one RSA signature.
func BenchmarkPowerSyncToken(b *testing.B) {
	onBothStores(b, func(b *testing.B, h http.Handler) {
		b.Helper()
		access, _ := mustRegister(b, h)["access_token"].(string)
		for b.Loop() {
			call(b, h, "/v1/auth/powersync-token", access, "")
		}
	})
}
