// Package bound shows in the metrics what keeps things from growing: how much of something there may be, how much there is, and how
// often somebody was turned away for it. It bounds nothing by itself; docs/limits.md lists what does.
package bound

import "github.com/prometheus/client_golang/prometheus"

// Bound is how much there may be of one thing.
type Bound struct {
	Service string       // whose it is: "sender"; "" for what a process has once
	What    string       // "connections"; with the unit where it is not a number of them: "upload_bytes"
	Limit   int64        // how much there may be
	Used    func() int64 // how much there is
	Shed    func() int64 // how many were turned away so far; nil where nobody is, as where the oldest makes room
}

// Register adds the bound to metrics. Nothing is counted but when they are looked at.
func (b Bound) Register(metrics prometheus.Registerer) {
	labels := prometheus.Labels{"service": b.Service, "what": b.What}
	metrics.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "provisioner_bound_limit", Help: "How much there may be of something.", ConstLabels: labels,
		}, func() float64 { return float64(b.Limit) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "provisioner_bound_used", Help: "How much there is of something.", ConstLabels: labels,
		}, func() float64 { return float64(b.Used()) }),
	)
	if b.Shed != nil {
		metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "provisioner_shed_total", Help: "How many were turned away because there was too much of something.", ConstLabels: labels,
		}, func() float64 { return float64(b.Shed()) }))
	}
}
