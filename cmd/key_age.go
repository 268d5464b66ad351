package cmd

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/config"
)

// keyAges shows how old the signing keys are whose making KEY_ROTATION_DATES dates.
type keyAges struct {
	made atomic.Pointer[map[string]time.Time]
	desc *prometheus.Desc
	now  func() time.Time
}

func newKeyAges(k config.Keyring, now func() time.Time) *keyAges {
	a := &keyAges{now: now, desc: prometheus.NewDesc(
		"provisioner_signing_key_age_seconds", "Age of a signing key; rotate it before 90 days.", []string{"key_id"}, nil,
	)}
	a.replace(k)
	return a
}

func (a *keyAges) replace(k config.Keyring) { a.made.Store(&k.Made) }

// Describe implements [prometheus.Collector].
func (a *keyAges) Describe(out chan<- *prometheus.Desc) { out <- a.desc }

// Collect implements [prometheus.Collector].
func (a *keyAges) Collect(out chan<- prometheus.Metric) {
	for id, made := range *a.made.Load() {
		out <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, a.now().Sub(made).Seconds(), id)
	}
}
