package cmd

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/provisioner/provisioner/config"
)

// newAllHandlers composes "serve all" under settings, on a database in a temporary directory and returns the handlers by service name.
func newAllHandlers(tb testing.TB, settings map[string]string) map[string]http.Handler {
	tb.Helper()
	settings["DATA_DIR"], settings["RATE_LIMIT_SEND"] = tb.TempDir(), "off"
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
	handlers := map[string]http.Handler{}
	for _, api := range apis {
		handlers[api.Name] = api.Handler
	}
	return handlers
}
