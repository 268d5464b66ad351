package papyrus_test

import (
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/supabaseapi"
	"github.com/provisioner/provisioner/pkg/httpapi/syncapi"
	"github.com/provisioner/provisioner/pkg/syncstream"
	"github.com/provisioner/provisioner/test/openapi"
)

func TestTheDocumentHasEveryRoute(t *testing.T) {
	r := newRig(t)
	c := r.config
	c.Options.Metrics = prometheus.NewRegistry()
	var routes []string
	for _, route := range papyrus.New(c, supabaseapi.Mount(supabaseapi.Config{Limiter: c.Limiter}), syncapi.Mount(syncapi.Config{Streams: new(syncstream.Streams)})).(*echo.Echo).Routes() {
		routes = append(routes, route.Method+" "+route.Path)
	}
	for _, err := range openapi.CompareRoutes(papyrus.Document, routes) {
		t.Error(err)
	}
}
