package cmd

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/replay"
)

// registerBuild shows which program this is.
func (s *services) registerBuild() {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "provisioner_build_info", Help: "1, labelled with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version(), "goversion": runtime.Version()},
	})
	build.Set(1)
	s.metrics.MustRegister(build)
}

// measured is a replay.Store that measures its commits.
type measured struct {
	replay.Store
	sizes, durations prometheus.Histogram
	failures         prometheus.Counter
}

// measureCommits returns a store that shows how many requests share a commit, and how long it takes.
func (s *services) measureCommits(store replay.Store) replay.Store {
	m := measured{
		Store: store,
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "provisioner_commit_requests", Help: "Requests admitted in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "provisioner_commit_duration_seconds", Help: "Time of a commit that admits requests.", Buckets: shortBuckets,
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "provisioner_commit_failures_total", Help: "Commits of requests that failed; the requests were refused.",
		}),
	}
	s.metrics.MustRegister(m.sizes, m.durations, m.failures)
	return m
}

// shortBuckets are for what is done within a request.
var shortBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// Admit implements [replay.Store].
func (m measured) Admit(ctx context.Context, admissions []replay.Admission) ([]bool, error) {
	began := time.Now()
	fresh, err := m.Store.Admit(ctx, admissions)
	m.sizes.Observe(float64(len(admissions)))
	m.durations.Observe(time.Since(began).Seconds())
	if err != nil {
		m.failures.Inc()
	}
	return fresh, err
}

// showCircuit shows whether the sender has given its receiver up for the moment.
func (s *services) showCircuit(sender *provision.Sender) {
	s.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "provisioner_circuit_open", Help: "1 while requests to the peer fail at once because those before were lost.",
		ConstLabels: prometheus.Labels{"peer": peerReceiver},
	}, func() float64 {
		if sender.CircuitOpen() {
			return 1
		}
		return 0
	}))
}

// purgeMetrics show whether what has expired is deleted.
type purgeMetrics struct {
	succeeded prometheus.Gauge
	failures  prometheus.Counter
}

// measurePurges counts the start as a purge, so that a process that never gets to one shows.
func (s *services) measurePurges() purgeMetrics {
	m := purgeMetrics{
		succeeded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "provisioner_purge_last_success_timestamp_seconds", Help: "When expired rows were deleted last; the start counts.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "provisioner_purge_failures_total", Help: "Tries to delete expired rows that failed.",
		}),
	}
	m.succeeded.SetToCurrentTime()
	s.metrics.MustRegister(m.succeeded, m.failures)
	return m
}
