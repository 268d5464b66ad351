package receiver_test

import (
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/test/openapi"
)

func TestTheDocumentHasEveryRoute(t *testing.T) {
	var routes []string
	for _, r := range newRig(t, newStore(t), setUp{}).api.(*echo.Echo).Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	for _, err := range openapi.CompareRoutes(receiver.Document, routes) {
		t.Error(err)
	}
}
