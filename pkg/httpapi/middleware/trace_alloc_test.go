//go:build !race

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
)

// TestTracingThatIsOffCostsNothing holds it for requests without a traceparent, which are most.
func TestTracingThatIsOffCostsNothing(t *testing.T) {
	c := echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/send", http.NoBody), httptest.NewRecorder())
	h := middleware.Trace("sender", nil, nil)(func(echo.Context) error { return nil })
	if n := testing.AllocsPerRun(100, func() { _ = h(c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
