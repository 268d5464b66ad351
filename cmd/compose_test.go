package cmd

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/config"
)

// newAllHandlers composes "serve all" under settings, on a database in a temporary directory unless they name another, and
// returns the handlers by service name. Their background work runs.
func newAllHandlers(tb testing.TB, settings map[string]string) map[string]http.Handler {
	tb.Helper()
	settings["DATA_DIR"], settings["RATE_LIMIT_SEND"], settings["RATE_LIMIT_AUTH"] = tb.TempDir(), "off", "off"
	cfg, _, err := config.Load(config.Options{
		Service: config.All, Dir: tb.TempDir(),
		LookupEnv: func(name string) (string, bool) { v, ok := settings[name]; return v, ok },
	})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newServices(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, f := range s.closers {
			_ = f()
		}
	})
	apis, err := composeAll(s)
	if err != nil {
		tb.Fatal(err)
	}
	var working sync.WaitGroup
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	for _, w := range s.workers {
		working.Go(func() { _ = w.run(ctx) })
	}
	tb.Cleanup(func() { stop(); working.Wait() })

	handlers := map[string]http.Handler{}
	for _, api := range apis {
		handlers[api.Name] = api.Handler
	}
	return handlers
}
