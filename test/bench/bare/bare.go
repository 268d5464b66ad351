// Package bare is the baseline of the benchmarks: sender and receiver as somebody writes them in an afternoon, on net/http and
// its Transport. They sign, forward, verify and answer as ours do, and do nothing else: no nonces, limits, logs, retries,
// timeouts or metrics but the one that the benchmark reads.
package bare

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"time"
)

const (
	maxBody = 64 << 10
	window  = 5 * time.Minute

	idleConns = 256 // kept to one host; net/http's default of 2 would open a connection a request
)

// sign returns the signature of a body in the scheme of package signing.
func sign(secret, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, timestamp) // a hash takes everything
	_, _ = io.WriteString(mac, ".")
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

// Transport returns the pool of connections that both sides use.
func Transport() *http.Transport {
	return &http.Transport{MaxIdleConns: idleConns, MaxIdleConnsPerHost: idleConns, DisableCompression: true}
}

// NewSender returns the public side: POST /send goes, signed, to /inbox of the receiver at the base URL.
func NewSender(secret, receiver string, transport http.RoundTripper) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r)
		if err != nil {
			return
		}
		out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, receiver+"/inbox", bytes.NewReader(body))
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
		out.Header.Set("Content-Type", "application/json")
		out.Header.Set("X-Timestamp", timestamp)
		out.Header.Set("X-Signature", hex.EncodeToString(sign(secret, timestamp, body)))
		if key := r.Header.Get("Idempotency-Key"); key != "" {
			out.Header.Set("Idempotency-Key", key)
		}
		forward(w, out, transport)
	})
	mux.HandleFunc("GET /metrics", metrics)
	return mux
}

func forward(w http.ResponseWriter, out *http.Request, transport http.RoundTripper) {
	answer, err := transport.RoundTrip(out)
	if err != nil {
		http.Error(w, "receiver unreachable", http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		http.Error(w, "receiver unreachable", http.StatusBadGateway)
		return
	}
	writeJSON(w, answer.StatusCode, body)
}

// Work does what a verified request asks for, and returns the answer.
type Work func(r *http.Request, body []byte) ([]byte, error)

// NewReceiver returns the internal side: POST /inbox is verified, and then given to work.
func NewReceiver(secret string, work Work) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inbox", func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r)
		if err != nil {
			return
		}
		if err := verify(secret, r.Header, body, time.Now()); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		answer, err := work(r, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
	mux.HandleFunc("GET /metrics", metrics)
	return mux
}

func verify(secret string, h http.Header, body []byte, now time.Time) error {
	timestamp := h.Get("X-Timestamp")
	milliseconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.UnixMilli(milliseconds)).Abs() > window {
		return errors.New("stale or invalid timestamp")
	}
	signature, err := hex.DecodeString(h.Get("X-Signature"))
	if err != nil || !hmac.Equal(signature, sign(secret, timestamp, body)) {
		return errors.New("invalid signature")
	}
	return nil
}

// readBody answers for itself where it returns an error.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "unreadable body", http.StatusBadRequest)
	}
	return body, err
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone
}

// metrics shows how many objects the process has allocated so far, under the name that Prometheus's Go collector gives it.
func metrics(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_, _ = fmt.Fprintf(w, "go_memstats_mallocs_total %d\n", m.Mallocs)
}
