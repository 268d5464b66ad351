package binding_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/binding"
)

func TestRoundTrip(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.RequestURI+" "+r.Header.Get("X-Sent"))
		w.WriteHeader(http.StatusTeapot)
		if !binding.Bound(r.Context()) {
			t.Error("the request does not say that it is bound")
		}
		_, _ = w.Write(body)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://receiver.internal/inbox?x=1", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Sent", "yes")

	resp, err := (&http.Client{Transport: binding.NewTransport(handler)}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusTeapot || string(body) != "hello" || err != nil || resp.Header.Get("X-Seen") != "POST /inbox?x=1 yes" {
		t.Errorf("got %d %q %q %v", resp.StatusCode, body, resp.Header.Get("X-Seen"), err)
	}
	if binding.Bound(req.Context()) {
		t.Error("the caller's own context is marked")
	}
}

func TestRoundTripEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://receiver.internal/", nil)
	if err != nil {
		t.Fatal(err)
	}

	resp, err := (&http.Client{Transport: binding.NewTransport(handler)}).Do(req)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Do() = %v, %v", resp, err)
		resp.Body.Close()
	}
}
