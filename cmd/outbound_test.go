package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCallsAreCountedByOutcome holds that an operator can tell a peer that refuses from one that fails and from one that is gone.
func TestCallsAreCountedByOutcome(t *testing.T) {
	for _, tt := range []struct {
		want   string
		status int
		err    error
	}{
		{"ok", 200, nil},
		{"ok", 302, nil},
		{"refused", 409, nil},
		{"failed", 503, nil},
		{"unreachable", 0, errors.New("connection refused")},
		{"timeout", 0, fmt.Errorf("dial: %w", context.DeadlineExceeded)},
		{"canceled", 0, context.Canceled},
	} {
		t.Run(fmt.Sprint(tt.want, tt.status), func(t *testing.T) {
			s := &services{metrics: prometheus.NewRegistry()}
			peer := s.measure("receiver", roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tt.status, Body: http.NoBody}, tt.err
			}))
			resp, err := peer.RoundTrip(httptest.NewRequest(http.MethodPost, "/inbox", http.NoBody))
			if !errors.Is(err, tt.err) || resp.StatusCode != tt.status {
				t.Errorf("RoundTrip() = %v, %v", resp, err)
			}
			for i, name := range outcomes {
				want := 0
				if name == tt.want {
					want = 1
				}
				if got := testutil.CollectAndCount(s.calling); got != len(outcomes) || countOf(t, s, name) != want {
					t.Errorf("%s (number %d) is counted %d times, want %d", name, i, countOf(t, s, name), want)
				}
			}
		})
	}
}

// countOf returns how many calls had the outcome.
func countOf(t *testing.T, s *services, outcome string) int {
	t.Helper()
	found, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found[0].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "outcome" && l.GetValue() == outcome {
				return int(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return -1
}
