package server

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkTimeout = time.Second
	checkedFor   = time.Second // how long results are believed, so that many probes cost as much as few
)

// Check asks for something that the process needs to do its work. Run returns when its context ends, after a second; a
// nil error means that it is there. The name is shown to whoever asks, the error is logged.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// readiness serves GET /readyz: 200 {"status":"ok"}; 503 {"status":"unavailable","failing":["database"]} when checks fail;
// 503 {"status":"draining"} from the start of the drain on.
type readiness struct {
	log      *slog.Logger
	draining *atomic.Bool
	checks   []Check

	mu      sync.Mutex // held while checking: who comes meanwhile shares the result
	checked time.Time
	failing []string
}

// ServeHTTP implements [http.Handler].
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.draining.Load() {
		writeJSON(w, http.StatusServiceUnavailable, status{Status: "draining"})
		return
	}
	if failing := r.ask(req.Context()); len(failing) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, status{Status: "unavailable", Failing: failing})
		return
	}
	writeJSON(w, http.StatusOK, status{Status: "ok"})
}

// ask returns the names of the failing checks, as they were at most a second ago.
func (r *readiness) ask(ctx context.Context) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.checked.IsZero() && time.Since(r.checked) < checkedFor {
		return r.failing
	}
	failing := r.run(context.WithoutCancel(ctx)) // others get the result too
	if len(failing) == 0 && len(r.failing) > 0 {
		r.log.Info("ready again")
	}
	r.failing, r.checked = failing, time.Now()
	return failing
}

// run runs all checks at the same time.
func (r *readiness) run(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	errs := make([]error, len(r.checks))
	var all sync.WaitGroup
	for i, c := range r.checks {
		all.Go(func() { errs[i] = c.Run(ctx) })
	}
	all.Wait()

	var failing []string
	for i, c := range r.checks {
		if errs[i] == nil {
			continue
		}
		failing = append(failing, c.Name)
		if !slices.Contains(r.failing, c.Name) {
			r.log.Warn("not ready", "check", c.Name, "err", errs[i])
		}
	}
	return failing
}
