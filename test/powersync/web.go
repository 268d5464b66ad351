package powersync

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/provisioner/provisioner/test/browser"
	"github.com/provisioner/provisioner/test/npm"
)

// Web is a web app that is a device, in each profile of a browser another.
type Web struct {
	Origin   string // "http://127.0.0.1:<port>": the app's
	t        testing.TB
	chromium *browser.Browser
}

// webPage is the app without its code.
const webPage = `<!doctype html><meta charset="utf-8"><title>Books</title><body><script type="module" src="/app.js"></script></body>`

// ServeWeb serves the app and runs a browser for it, until t ends. The app's workers and the WebAssembly of its database come as they
// are from the SDK.
func ServeWeb(t testing.TB) *Web {
	t.Helper()
	app := filepath.Join(t.TempDir(), "app.js")
	bundle := npm.Command(t, "powersync", "node_modules/.bin/esbuild", "web.mjs", "--bundle", "--format=esm", "--log-level=error", "--outfile="+app)
	if out, err := bundle.CombinedOutput(); err != nil {
		t.Fatalf("bundle the app: %v: run `make deps` if a library is missing\n%s", err, out)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(webPage)) })
	mux.HandleFunc("GET /app.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, app) })
	workers := http.FileServer(http.Dir(filepath.Join(npm.Dir(t, "powersync"), "node_modules/@powersync/web/dist/worker")))
	mux.Handle("GET /worker/", http.StripPrefix("/worker", workers))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &Web{Origin: server.URL, t: t, chromium: browser.Start(t)}
}

// NewDevice returns the app in a profile of its own, with an empty database. The encoding of its streams is the server's choice.
func (w *Web) NewDevice(name string, o Options) *Device {
	w.t.Helper()
	profile := w.chromium.NewProfile()
	profile.Visit(w.Origin)
	d := &Device{t: w.t, name: name, act: func(a action) ([]byte, error) { return profile.Call("device", a) }}
	d.do(action{Open: &o}, nil)
	return d
}
