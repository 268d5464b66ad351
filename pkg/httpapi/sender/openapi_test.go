package sender_test

import (
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/test/openapi"
)

func TestTheDocumentHasEveryRoute(t *testing.T) {
	var routes []string
	for _, r := range newSender(t, setUp{}).(*echo.Echo).Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	for _, err := range openapi.CompareRoutes(sender.Document, routes) {
		t.Error(err)
	}
}
