package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
)

// settleTime is how long files must have been left alone: whoever changes several is not to be met half-way.
const settleTime = 200 * time.Millisecond

type reloader struct {
	log       *slog.Logger
	funcs     []func() error
	paths     []string
	requested chan struct{}

	total       *prometheus.CounterVec
	lastSuccess prometheus.Gauge
	lastFailed  prometheus.Gauge
}

func newReloader(log *slog.Logger, metrics prometheus.Registerer) *reloader {
	r := &reloader{
		log:       log,
		requested: make(chan struct{}, 1),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provisioner_reloads_total", Help: "Reloads of keys and origins, by result.",
		}, []string{"result"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "provisioner_reload_last_success_timestamp_seconds", Help: "When the keys and origins in use were read.",
		}),
		lastFailed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "provisioner_reload_failed", Help: "1 while the last reload failed and older keys and origins are in use.",
		}),
	}
	metrics.MustRegister(r.total, r.lastSuccess, r.lastFailed)
	r.total.WithLabelValues("ok")
	r.total.WithLabelValues("failed")
	r.lastSuccess.SetToCurrentTime() // read at the start
	return r
}

// request asks for a reload soon. Requests that come faster than reloads are answered by one.
func (r *reloader) request() {
	select {
	case r.requested <- struct{}{}:
	default:
	}
}

// run reloads as requested, and when the paths change, until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	w, err := watch(r.paths, r.log)
	if err != nil {
		r.log.Warn("files are not watched: send SIGHUP to reload them", "err", err)
		r.loop(ctx, nil, nil, nil)
		return nil
	}
	defer func() { _ = w.Close() }() // it was only read
	r.loop(ctx, w.Events, w.Errors, w.concerns)
	return nil
}

func (r *reloader) loop(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error, concerns func(fsnotify.Event) bool) {
	settled := time.NewTimer(0)
	settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.requested:
			r.reload()
		case e := <-events:
			if concerns(e) {
				settled.Reset(settleTime)
			}
		case err := <-errs: // events may have been lost
			r.log.Warn("watching files", "err", err)
			settled.Reset(settleTime)
		case <-settled.C:
			r.reload()
		}
	}
}

func (r *reloader) reload() {
	var errs []error
	for _, f := range r.funcs {
		errs = append(errs, f())
	}
	if err := errors.Join(errs...); err != nil {
		r.log.Error("reload failed: what was in use stays in use", "err", err)
		r.total.WithLabelValues("failed").Inc()
		r.lastFailed.Set(1)
		return
	}
	r.log.Info("reloaded")
	r.total.WithLabelValues("ok").Inc()
	r.lastFailed.Set(0)
	r.lastSuccess.SetToCurrentTime()
}
