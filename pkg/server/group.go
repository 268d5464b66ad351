package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// Config is what a [Group] is made of. All but Ready, DrainDelay, Signals and MaxConnections is required.
type Config struct {
	Log        *slog.Logger
	Metrics    *prometheus.Registry // shown under /metrics; New adds the collectors of Go and of the process
	Admin      string               // host:port of the admin listener, the setting ADMIN_ADDR
	Ready      []Check              // what /readyz asks
	DrainDelay time.Duration        // from SIGTERM to closing the listeners; 0 for none
	Signals    <-chan os.Signal     // from [Signals]; nil for none. Never closed

	MaxConnections int64 // of each listener; those beyond get 503. 0 for any number
}

// Service is one API with a listener of its own.
type Service struct {
	Name    string // "sender": its address is the setting SENDER_ADDR, which errors point to
	Addr    string // host:port; port 0 is a free one
	Handler http.Handler
	Dialect apierror.Dialect // of the refusals of requests too malformed for Handler to see
}

// setting is the name under which users know the address.
func (s Service) setting() string { return strings.ToUpper(s.Name) + "_ADDR" }

// Group is the services of one process, with their admin listener and background work. It is built by one goroutine, with
// Add, Go, Defer, OnReload and OnDrain, and then run once. Whoever makes one defers Close.
type Group struct {
	log        *slog.Logger
	metrics    *prometheus.Registry
	drainDelay time.Duration
	maxConns   int64
	signals    <-chan os.Signal
	timeouts   timeouts
	after      func(time.Duration) <-chan time.Time // times the drain delay

	services []Service // the admin listener is the first
	bound    []*listener
	workers  []worker
	closers  []func() error
	reloader *reloader // nil for nothing to reload
	drainers []func(time.Duration)
	ready    *readiness
	draining atomic.Bool
}

type worker struct {
	name string
	run  func(context.Context) error
}

// listener is a service with its socket and, once it runs, its server.
type listener struct {
	Service
	socket net.Listener
	crowd  *crowd
	http   *http.Server
}

// New returns a group that has an admin listener only: GET /livez, /readyz and /metrics.
func New(c Config) *Group {
	c.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g := &Group{
		log: c.Log, metrics: c.Metrics, drainDelay: c.DrainDelay, maxConns: c.MaxConnections, signals: c.Signals, timeouts: defaultTimeouts,
		after: time.After,
	}
	g.ready = &readiness{log: c.Log, draining: &g.draining, checks: c.Ready}
	g.services = []Service{{Name: "admin", Addr: c.Admin, Handler: newAdmin(g.ready, c.Metrics)}}
	return g
}

// Add adds a service. Services are added before Listen.
func (g *Group) Add(s Service) { g.services = append(g.services, s) }

// Go adds background work, which Run starts. Its context ends once all requests are answered. An error of it ends the
// whole group; returning nil does not.
func (g *Group) Go(name string, work func(context.Context) error) {
	g.workers = append(g.workers, worker{name, work})
}

// Defer adds a function for Close to call, after those that are added later.
func (g *Group) Defer(f func() error) { g.closers = append(g.closers, f) }

// OnReload has reload called on SIGHUP and shortly after any of paths changes: files, which need not exist yet, or
// directories of files. Calls never overlap. A reload that returns an error must have changed nothing; the error is logged
// and counted, and the group runs on. Several functions are called in the order in which they were added, whatever the
// others return.
func (g *Group) OnReload(reload func() error, paths ...string) {
	if g.reloader == nil {
		g.reloader = newReloader(g.log, g.metrics)
		g.Go("reload", g.reloader.run)
	}
	g.reloader.funcs = append(g.reloader.funcs, reload)
	g.reloader.paths = append(g.reloader.paths, paths...)
}

// OnDrain has drain called as soon as the drain begins, with the time until the listeners close. From then on no request may go on for
// as long as its client likes.
func (g *Group) OnDrain(drain func(delay time.Duration)) { g.drainers = append(g.drainers, drain) }

// Ready returns nil where /readyz answers 200, and otherwise an error that says why not.
func (g *Group) Ready(ctx context.Context) error {
	if g.draining.Load() {
		return errDraining
	}
	if failing := g.ready.ask(ctx); len(failing) > 0 {
		return fmt.Errorf("not ready: %s", strings.Join(failing, ", "))
	}
	return nil
}

var errDraining = errors.New("draining")

// Addrs returns the address that each service listens on, by name, the admin listener's as "admin". It is empty before Listen.
func (g *Group) Addrs() map[string]string {
	addrs := make(map[string]string, len(g.bound))
	for _, l := range g.bound {
		addrs[l.Name] = l.socket.Addr().String()
	}
	return addrs
}

// Close closes what Listen bound and calls the deferred functions, the last first, returning their errors joined. Run
// does it too; a second call does nothing.
func (g *Group) Close() error {
	for _, l := range g.bound {
		_ = l.socket.Close() // Run may have closed it
	}
	closers := g.closers
	g.bound, g.closers = nil, nil

	var errs []error
	for _, f := range slices.Backward(closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
