package server

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// status is the answer of /livez and /readyz.
type status struct {
	Status  string   `json:"status"`            // ok, unavailable or draining
	Failing []string `json:"failing,omitempty"` // names of checks, in their order
}

// newAdmin serves GET /livez, which is 200 for as long as the process answers at all; GET /readyz; and GET /metrics, for
// Prometheus. All else is an error in JSON.
func newAdmin(ready *readiness, metrics *prometheus.Registry) http.Handler {
	routes := map[string]http.Handler{
		"/livez":   http.HandlerFunc(livez),
		"/readyz":  ready,
		"/metrics": promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, known := routes[r.URL.Path]
		switch {
		case !known:
			refuse(w, apierror.New(http.StatusNotFound, apierror.NotFound, "not found: try /livez, /readyz or /metrics"))
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, apierror.New(http.StatusMethodNotAllowed, apierror.MethodNotAllowed, "method not allowed"))
		default:
			route.ServeHTTP(w, r)
		}
	})
}

func livez(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, status{Status: "ok"}) }

func refuse(w http.ResponseWriter, e *apierror.Error) { writeJSON(w, e.Status, apierror.Flat.Body(e)) }

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has gone
}
