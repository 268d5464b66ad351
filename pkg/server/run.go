package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// ErrInterrupted is returned by [Group.Run] when a second signal ends it before it has drained.
var ErrInterrupted = errors.New("interrupted by a second signal before all requests were answered")

// Signals returns the signals that a [Group] acts on, which no longer end the process by themselves until stop is called.
func Signals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// Run serves until ctx ends, a signal comes, or a listener or background work fails, whose error it returns. Then it
// drains: readiness fails; after a SIGTERM, requests go on being answered for the drain delay; the listeners close, and
// what is in flight has 15 s to finish; background work ends, the admin listener last; Close is called. SIGHUP reloads. A
// second SIGTERM or SIGINT returns ErrInterrupted at once, without waiting for anything and without Close's functions.
func (g *Group) Run(ctx context.Context) error {
	if err := g.Listen(ctx); err != nil {
		return errors.Join(err, g.Close())
	}
	life, giveUp := context.WithCancel(context.WithoutCancel(ctx)) // signals end ctx's work in order, not at once
	defer giveUp()
	r := g.start(life)

	delay, cause := g.untilStopped(ctx, r.failed)
	g.draining.Store(true)
	g.log.Info("draining", "delay", delay.String())
	for _, f := range g.drainers {
		f(delay)
	}
	drained := make(chan struct{})
	go func() { defer close(drained); r.drain(life, delay) }()

	if !g.untilDrained(drained) {
		r.closeAll() // before giveUp, so that no handler answers only because its context ended
		giveUp()
		g.closers = nil // requests may still be using what they close
		return ErrInterrupted
	}
	err := errors.Join(cause, g.Close())
	g.log.Info("stopped")
	return err
}

// untilStopped returns for what reason the group is to end, nil for none but the asking, and how long to wait before.
func (g *Group) untilStopped(ctx context.Context, failed <-chan error) (delay time.Duration, cause error) {
	for {
		select {
		case <-ctx.Done():
			return 0, nil
		case err := <-failed:
			return 0, err
		case s := <-g.signals:
			g.log.Info("signal", "name", s.String())
			switch s {
			case syscall.SIGHUP:
				g.reload()
			case syscall.SIGTERM:
				return g.drainDelay, nil
			default:
				return 0, nil
			}
		}
	}
}

func (g *Group) reload() {
	if g.reloader == nil {
		g.log.Warn("nothing to reload")
		return
	}
	g.reloader.request()
}

// untilDrained reports whether drained came before another signal to end.
func (g *Group) untilDrained(drained <-chan struct{}) bool {
	for {
		select {
		case <-drained:
			return true
		case s := <-g.signals:
			if s != syscall.SIGHUP {
				return false
			}
		}
	}
}

// run is a group that is under way.
type run struct {
	*Group
	listeners   []*listener
	failed      chan error // the first failure
	serving     sync.WaitGroup
	working     sync.WaitGroup
	cutRequests context.CancelFunc
	stopWork    context.CancelFunc
}

func (g *Group) start(life context.Context) *run {
	r := &run{Group: g, listeners: g.bound, failed: make(chan error, 1)}
	requests, cutRequests := context.WithCancel(life)
	work, stopWork := context.WithCancel(life)
	r.cutRequests, r.stopWork = cutRequests, stopWork

	var addrs []any
	for _, l := range r.listeners {
		l.http = g.newHTTPServer(requests, l.Service)
		r.serving.Go(func() { r.serve(l) })
		addrs = append(addrs, l.Name, l.socket.Addr().String())
	}
	for _, w := range g.workers {
		r.working.Go(func() {
			if err := w.run(work); err != nil && work.Err() == nil {
				r.fail(w.name, err)
			}
		})
	}
	g.log.Info("serving", addrs...)
	return r
}

func (r *run) serve(l *listener) {
	if err := l.http.Serve(jsonRefusals{l.socket, l.Dialect, l.crowd}); !errors.Is(err, http.ErrServerClosed) {
		r.fail(l.Name, err)
	}
}

func (r *run) fail(name string, err error) {
	select {
	case r.failed <- fmt.Errorf("%s: %w", name, err):
	default: // the first has ended the group already
		r.log.Warn("failed while ending", "name", name, "err", err)
	}
}

// drain ends everything in order. When ctx ends it returns at once.
func (r *run) drain(ctx context.Context, delay time.Duration) {
	select {
	case <-ctx.Done():
	case <-r.after(delay):
	}
	admin, services := r.listeners[:1], r.listeners[1:]
	r.shutdown(ctx, services)
	r.awaitWork(ctx)
	r.shutdown(ctx, admin)
	r.cutRequests()
	r.serving.Wait()
}

// shutdown closes the listeners and waits for their requests in flight, which net/http answers with Connection: close.
func (r *run) shutdown(ctx context.Context, listeners []*listener) {
	ctx, cancel := context.WithTimeout(ctx, r.timeouts.drain)
	defer cancel()
	var all sync.WaitGroup
	for _, l := range listeners {
		all.Go(func() {
			if err := l.http.Shutdown(ctx); err != nil {
				r.log.Warn("requests cut off", "service", l.Name, "err", err)
				_ = l.http.Close()
				r.cutRequests()
			}
		})
	}
	all.Wait()
}

// awaitWork tells the background work to end, and waits until it has.
func (r *run) awaitWork(ctx context.Context) {
	r.stopWork()
	ctx, cancel := context.WithTimeout(ctx, r.timeouts.drain)
	defer cancel()
	ended := make(chan struct{})
	go func() { r.working.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		r.log.Warn("background work left behind", "err", ctx.Err())
	}
}

// closeAll closes every connection.
func (r *run) closeAll() {
	for _, l := range r.listeners {
		_ = l.http.Close()
	}
}
