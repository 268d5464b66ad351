package cmd

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of calls, in the order in which outcomeOf counts them.
var outcomes = []string{"ok", "refused", "failed", "unreachable", "timeout", "canceled"}

const (
	outcomeOK = iota
	outcomeRefused
	outcomeFailed
	outcomeUnreachable
	outcomeTimeout
	outcomeCanceled
)

// outbound measures calls over the network, up to the head of the answer.
type outbound struct {
	next http.RoundTripper
	by   []prometheus.Observer // by outcome
}

// measure returns next, with the time and the outcome of each call to peer in the metrics.
func (s *services) measure(peer string, next http.RoundTripper) http.RoundTripper {
	if s.calling == nil {
		s.calling = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "provisioner_outbound_request_duration_seconds",
			Help:    "Time until a peer began to answer, by outcome: ok, refused (4xx), failed (5xx), unreachable, timeout or canceled.",
			Buckets: shortBuckets,
		}, []string{"peer", "outcome"})
		s.metrics.MustRegister(s.calling)
	}
	o := outbound{next: next}
	for _, name := range outcomes {
		o.by = append(o.by, s.calling.WithLabelValues(peer, name))
	}
	return o
}

// RoundTrip implements [http.RoundTripper].
func (o outbound) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := o.next.RoundTrip(r)
	o.by[outcomeOf(resp, err)].Observe(time.Since(began).Seconds())
	return resp, err
}

func outcomeOf(resp *http.Response, err error) int {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return outcomeTimeout
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	case err != nil:
		return outcomeUnreachable
	case resp.StatusCode >= http.StatusInternalServerError:
		return outcomeFailed
	case resp.StatusCode >= http.StatusBadRequest:
		return outcomeRefused
	}
	return outcomeOK
}
