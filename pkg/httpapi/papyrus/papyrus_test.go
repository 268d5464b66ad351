package papyrus_test

import "testing"

func TestPaths(t *testing.T) {
	const (
		notFound   = `{"error":{"code":"NOT_FOUND","message":"not found","details":{}}}`
		notAllowed = `{"error":{"code":"METHOD_NOT_ALLOWED","message":"method not allowed","details":{}}}`
		forbidden  = `{"error":{"code":"FORBIDDEN","message":"the origin is not allowed","details":{}}}`
	)
	r := newRig(t)
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		status             int
		want               string
	}{
		{"health", "GET", "/health", nil, 200, `{"status":"healthy"}`},
		{"HEAD of it", "HEAD", "/health", nil, 200, ``},
		{"another method", "POST", "/health", nil, 405, notAllowed},
		{"an unknown path", "GET", "/v1/nothing", nil, 404, notFound},
		{"a path that begins like verify is a key's", "GET", verifyPath + "x", nil, 405, notAllowed},
		{"the root", "GET", "/", nil, 404, notFound},
		{"in the dialect of Supabase", "GET", "/auth/v1/nothing", nil, 404, `{"code":404,"error_code":"not_found","msg":"not found"}`},
		{"in the dialect of the functions", "GET", "/functions/v1/nothing", nil, 404, `{"error":"not found","code":"NOT_FOUND"}`},
		{"a foreign origin", "GET", "/health", []string{"Origin", "https://evil.example.com"}, 403, forbidden},
		{"a foreign origin, where a path only begins like verify", "GET", verifyPath + "x", []string{"Origin", "https://evil.example.com"}, 403, forbidden},
		{"an allowed origin", "GET", "/health", []string{"Origin", origin}, 200, `{"status":"healthy"}`},
		{"a preflight", "OPTIONS", "/health", []string{"Origin", origin}, 204, ``},
		{"a preflight of a foreign origin", "OPTIONS", "/health", []string{"Origin", "https://evil.example.com"}, 204, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.do(tt.method, tt.path, tt.headers...)
			check(t, w, tt.status, tt.want)
			allowed := w.Header().Get("Access-Control-Allow-Origin")
			if granted := len(tt.headers) == 2 && tt.headers[1] == origin; (allowed == origin) != granted {
				t.Errorf("Access-Control-Allow-Origin %q", allowed)
			}
		})
	}
}
