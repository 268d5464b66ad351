package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
)

// serve sends a request through m to a handler that answers 200, and returns the response with m's error.
func serve(m echo.MiddlewareFunc, method, origin string) (*httptest.ResponseRecorder, error) {
	req := httptest.NewRequest(method, "http://api.example.org:8787/send", http.NoBody)
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	err := m(func(c echo.Context) error { return c.NoContent(http.StatusOK) })(echo.New().NewContext(req, w))
	return w, err
}

func TestOrigins(t *testing.T) {
	origins := middleware.NewOrigins([]string{"https://app.example.com", "http://localhost:8081", "https://*.example.net", "http://*.localhost:3000"})
	for origin, allowed := range map[string]bool{
		"https://app.example.com":          true,
		"https://APP.example.com":          false, // browsers send lower case
		"http://app.example.com":           false,
		"https://app.example.com:443":      false, // browsers leave the default port out
		"https://app.example.com:8443":     false,
		"https://app.example.com/":         false,
		"https://app.example.com.evil.com": false,
		"https://evil.com":                 false,
		"null":                             false,
		"*":                                false,
		"http://localhost:8081":            true,
		"http://localhost":                 false,

		"https://a.example.net":              true,
		"https://a.b.example.net":            false, // the wildcard is one label
		"https://example.net":                false,
		"https://.example.net":               false,
		"http://a.example.net":               false,
		"https://a.example.net:444":          false,
		"https://evil.com/.example.net":      false,
		"https://evil.com:1.example.net":     false,
		"https://evil.com?.example.net":      false,
		"https://evil.com#.example.net":      false,
		"https://user@a.example.net":         false,
		"https://aexample.net":               false,
		"https://a.example.net.evil.com":     false,
		"https://*.example.net":              true, // no browser sends it
		"http://papyrus.localhost:3000":      true,
		"http://papyrus.localhost":           false,
		"http://papyrus.localhost:3000.evil": false,

		"https://api.example.org:8787": true, // its own
		"http://api.example.org:8787":  true,
		"https://api.example.org":      false,
	} {
		w, err := serve(middleware.CORS(origins, middleware.CORSHeaders{Methods: "GET", Headers: "x"}), http.MethodPost, origin)
		want := ""
		if allowed {
			want = origin
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || (err == nil) != allowed {
			t.Errorf("%s: allowed to %q, %v; want %t", origin, got, err, allowed)
		}
		if err != nil && apierror.From(err).Code != apierror.Forbidden {
			t.Errorf("%s: %v", origin, err)
		}
		if got := w.Header().Get("Vary"); got != "Origin" {
			t.Errorf("%s: Vary = %q", origin, got)
		}
	}
}

func TestOriginsCanBeReplaced(t *testing.T) {
	origins := middleware.NewOrigins([]string{"https://old.example.com"})
	m := middleware.CORS(origins, middleware.CORSHeaders{})
	origins.Replace([]string{"https://new.example.com"})
	for origin, allowed := range map[string]bool{"https://old.example.com": false, "https://new.example.com": true} {
		if _, err := serve(m, http.MethodGet, origin); (err == nil) != allowed {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestPreflightOfADisallowedOriginHasNoCORSHeaders(t *testing.T) {
	m := middleware.CORS(middleware.NewOrigins(nil), middleware.CORSHeaders{Methods: "GET", Headers: "x"})
	w, err := serve(m, http.MethodOptions, "https://evil.com")
	if err != nil || w.Code != http.StatusNoContent {
		t.Errorf("%d, %v", w.Code, err)
	}
	for name := range w.Header() {
		if name != "Vary" {
			t.Errorf("%s: %s", name, w.Header().Get(name))
		}
	}
}
