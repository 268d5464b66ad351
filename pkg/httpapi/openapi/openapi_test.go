package openapi_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/openapi"
)

const document = `{"openapi":"3.0.3"}`

func newHandler(title string) http.Handler {
	e := httpapi.New(httpapi.Options{
		Service: "test", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Origins: middleware.NewOrigins(nil), CORS: httpapi.ProvisioningCORS, Dialect: httpapi.FlatDialect,
	})
	openapi.Mount(e, []byte(document), title)
	return e
}

// do makes a request with headers, a name and a value each.
func do(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMount(t *testing.T) {
	h := newHandler("A service")
	for path, want := range map[string]struct{ contentType, begins string }{
		"/openapi.json":              {"application/json; charset=utf-8", document},
		"/docs":                      {"text/html; charset=utf-8", "<!doctype html>"},
		"/docs/show.js":              {"text/javascript; charset=utf-8", "SwaggerUIBundle({"},
		"/docs/swagger-ui-bundle.js": {"text/javascript; charset=utf-8", "/*!"},
		"/docs/swagger-ui.css":       {"text/css; charset=utf-8", ".swagger-ui"},
		"/docs/favicon-32x32.png":    {"image/png", "\x89PNG"},
	} {
		t.Run(path, func(t *testing.T) {
			w := do(h, http.MethodGet, path)
			if got := w.Body.String(); w.Code != 200 || !strings.HasPrefix(got, want.begins) {
				t.Errorf("%d %.80q", w.Code, got)
			}
			head := do(h, http.MethodHead, path)
			if head.Code != 200 || head.Body.Len() != 0 {
				t.Errorf("HEAD: %d with %d bytes", head.Code, head.Body.Len())
			}
			for _, header := range []http.Header{w.Header(), head.Header()} {
				if got := header.Get("Content-Type"); got != want.contentType {
					t.Errorf("Content-Type %q", got)
				}
				if !strings.HasPrefix(header.Get("Cache-Control"), "public, max-age=") || header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("headers %v", header)
				}
			}
			if w := do(h, http.MethodGet, path, "Range", "bytes=9999999-"); w.Code != 200 {
				t.Errorf("a range that is not there: %d %s", w.Code, w.Body)
			}
			if w := do(h, http.MethodPost, path); w.Code != 405 || !strings.Contains(w.Body.String(), `"METHOD_NOT_ALLOWED"`) {
				t.Errorf("POST: %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestReadersThatHaveIt(t *testing.T) {
	h := newHandler("A service")
	for _, path := range []string{"/openapi.json", "/docs", "/docs/show.js"} {
		tag := do(h, http.MethodGet, path).Header().Get("Etag")
		for _, tt := range []struct {
			name, ifNoneMatch string
			want              int
		}{
			{"has it", tag, 304},
			{"has it, among others", `"x", W/` + tag, 304},
			{"has anything", "*", 304},
			{"has another version", `"x"`, 200},
		} {
			if w := do(h, http.MethodGet, path, "If-None-Match", tt.ifNoneMatch); w.Code != tt.want || w.Code == 304 && w.Body.Len() > 0 {
				t.Errorf("%s, who %s: %d with %d bytes, want %d", path, tt.name, w.Code, w.Body.Len(), tt.want)
			}
		}
	}
	if one, other := do(newHandler("a"), "GET", "/docs").Header().Get("Etag"), do(newHandler("b"), "GET", "/docs").Header().Get("Etag"); one == other {
		t.Errorf("two pages have the ETag %s", one)
	}
}

func TestCompression(t *testing.T) {
	const path = "/docs/swagger-ui.css"
	h := newHandler("A service")
	whole := do(h, http.MethodGet, path).Body.String()
	for accepts, compressed := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "deflate, gzip": true, "gzip;q=1": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "notgzip": false,
	} {
		w := do(h, http.MethodGet, path, "Accept-Encoding", accepts)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != compressed {
			t.Errorf("for %q: compressed, %t", accepts, got)
		}
		if vary := strings.Join(w.Header().Values("Vary"), ", "); vary != "Origin, Accept-Encoding" {
			t.Errorf("Vary: %s", vary)
		}
		if compressed && mustInflate(t, w.Body) != whole {
			t.Errorf("for %q the content is another", accepts)
		}
	}
}

func mustInflate(t *testing.T, r io.Reader) string {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestUnknownAssets(t *testing.T) {
	h := newHandler("A service")
	for _, path := range []string{"/docs/", "/docs/swagger-ui.js", "/docs/swagger-ui.css.gz", "/docs/../asset.go", "/docs/%2e%2e%2fasset.go", "/docs/a/b"} {
		if w := do(h, http.MethodGet, path); w.Code != 404 || w.Body.String() != `{"error":"not found","code":"NOT_FOUND"}`+"\n" {
			t.Errorf("%s: %d %.80s", path, w.Code, w.Body)
		}
	}
}

// TestNothingComesFromElsewhere holds that the page names no other site, has no script or style in line, and could not load
// any. That all of it works in a browser under this policy cannot be seen here.
func TestNothingComesFromElsewhere(t *testing.T) {
	h := newHandler("A service")
	page, script := do(h, http.MethodGet, "/docs"), do(h, http.MethodGet, "/docs/show.js").Body.String()
	elsewhere := regexp.MustCompile(`(?i)//|\bon\w+=|style=|<style|<script>|javascript:`)
	for _, text := range []string{page.Body.String(), strings.Replace(script, "// else", "", 1)} {
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%q in %s", found, text)
		}
	}
	if !strings.Contains(script, "validatorUrl: null") {
		t.Error("the document is sent to a validator")
	}
	policy := page.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy+";", want+";") {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	for _, reference := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		if w := do(h, http.MethodGet, "/"+reference[1]); w.Code != 200 {
			t.Errorf("the page names %s: %d", reference[1], w.Code)
		}
	}
}

func TestTitlesAreText(t *testing.T) {
	page := do(newHandler(`<script>alert("x")</script>`), http.MethodGet, "/docs").Body.String()
	if !strings.Contains(page, "<title>&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;</title>") {
		t.Error(page)
	}
}

func TestWithPrefix(t *testing.T) {
	const written = `{"paths":{"/v1/keys":{},"/v1/keys/verify/{path}":{},"/auth/v1/user":{},"/functions/v1/x":{},"/v10":{}},"d":"See ` + "`/v1/keys`" + ` and /v1."}`
	for p, want := range map[string]string{
		"/v1":     written,
		"/api/v2": `{"paths":{"/api/v2/keys":{},"/api/v2/keys/verify/{path}":{},"/auth/v1/user":{},"/functions/v1/x":{},"/v10":{}},"d":"See ` + "`/api/v2/keys`" + ` and /api/v2."}`,
		"":        `{"paths":{"/keys":{},"/keys/verify/{path}":{},"/auth/v1/user":{},"/functions/v1/x":{},"/v10":{}},"d":"See ` + "`/keys`" + ` and ."}`,
	} {
		if got := string(openapi.WithPrefix([]byte(written), p)); got != want {
			t.Errorf("WithPrefix(%q):\n%s\nwant\n%s", p, got, want)
		}
	}
}
