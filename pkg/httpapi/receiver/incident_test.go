package receiver_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// TestRoutesAreClosedByDefault is named after CVE-2026-21894, in which a handler did not verify what it was sent, and CVE-2026-40344, in
// which verification was asked for by a header: every route but those that tell of the service wants a signature, with every method and
// whatever the request says of itself.
func TestRoutesAreClosedByDefault(t *testing.T) {
	public := []string{"/", "/health", "/openapi.json", "/docs"}
	r := newRig(t, newStore(t), setUp{project: func(*http.Request) (*http.Response, error) {
		t.Error("the project was asked")
		return nil, errors.New("no")
	}})
	closed := 0
	for _, route := range r.api.(*echo.Echo).Routes() {
		if slices.Contains(public, route.Path) || strings.HasPrefix(route.Path, "/docs/") || route.Method == echo.RouteNotFound {
			continue
		}
		closed++
		for _, headers := range [][]string{
			{},
			{"X-Signature", ""},
			{"X-Signature", "none"},
			{"X-Signature", strings.Repeat("0", 64)},
			{"X-Key-Id", "k1"},
			{"X-Signature", strings.Repeat("0", 64), "X-Timestamp", "1774008000000"}, // without an id, as a single key has it
			{"X-Signature", strings.Repeat("0", 64), "X-Timestamp", "1774008000000", "X-Key-Id", ""},
			{"X-Signature", strings.Repeat("0", 64), "X-Timestamp", "1774008000000", "X-Key-Id", "k1"},
			{"Authorization", "Bearer a.b.c"},
			{"X-Forwarded-For", "127.0.0.1"},
			{"X-Internal", "true"},
		} {
			req := httptest.NewRequest(route.Method, route.Path, strings.NewReader(keyBody))
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			if w := r.do(req); w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s with %q: %d %s", route.Method, route.Path, headers, w.Code, w.Body)
			}
		}
	}
	if closed == 0 {
		t.Error("there is no route")
	}
	if events := mustEvents(t, r.db); len(events) != 0 {
		t.Errorf("events: %+v", events)
	}
}
