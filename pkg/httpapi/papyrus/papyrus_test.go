package papyrus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apikey"
)

const verifyPath = "/v1/keys/verify"

func TestVerifyKey(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{verifyPath, verifyPath + "/", verifyPath + "/api/v2/books?q=1", verifyPath + "/a%2Fb"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL", "BREW"} {
			t.Run(method+" "+path, func(t *testing.T) {
				key, token := r.mustKeep(t, func(*apikey.Key) {})
				w := r.do(method, path, "Authorization", "Bearer "+token, "Origin", "https://a-client-of-the-proxy.example.net")
				want := fmt.Sprintf(`{"valid":true,"key_id":%q,"user_id":%q,"name":"Zoë 🔑","tier":"new"}`, key.ID, r.user)
				if method == "HEAD" {
					want = ""
				}
				check(t, w, 200, want)
				for name, want := range map[string]string{
					"X-Key-Id": key.ID, "X-User-Id": r.user, "X-Key-Tier": "new", "Cache-Control": "no-store",
					"RateLimit-Limit": "2", "RateLimit-Remaining": "1", "RateLimit-Reset": "30",
				} {
					if got := w.Header().Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
				check(t, r.do(method, path), 401, strings.Repeat(`{"valid":false,"code":"MALFORMED"}`, min(1, len(want))))
			})
		}
	}
}

func TestVerifyKeyRefusals(t *testing.T) {
	r := newRig(t)
	_, good := r.mustKeep(t, func(*apikey.Key) {})
	_, revoked := r.mustKeep(t, func(k *apikey.Key) { k.RevokedAt = noon })
	_, expired := r.mustKeep(t, func(k *apikey.Key) { k.ExpiresAt = noon })
	for _, tt := range []struct {
		name    string
		headers []string
		code    string
	}{
		{"no header", nil, "MALFORMED"},
		{"no token", []string{"Authorization", "Bearer"}, "MALFORMED"},
		{"another scheme", []string{"Authorization", "Basic " + good}, "MALFORMED"},
		{"two headers", []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, "MALFORMED"},
		{"two tokens", []string{"Authorization", "Bearer " + good + " " + good}, "MALFORMED"},
		{"the token in another header", []string{"apikey", good}, "MALFORMED"},
		{"a JWT", []string{"Authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln"}, "MALFORMED"},
		{"capital digits", []string{"Authorization", "Bearer obtk_" + strings.Repeat("A", 64)}, "MALFORMED"},
		{"100,000 digits", []string{"Authorization", "Bearer obtk_" + strings.Repeat("a", 100_000)}, "MALFORMED"},
		{"unknown", []string{"Authorization", "Bearer obtk_" + strings.Repeat("a", 64)}, "NOT_FOUND"},
		{"revoked", []string{"Authorization", "Bearer " + revoked}, "REVOKED"},
		{"expired", []string{"Authorization", "Bearer " + expired}, "EXPIRED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.do("GET", verifyPath, append(tt.headers, "X-User-Id", "of the client", "X-Key-Id", "of the client")...)
			check(t, w, 401, `{"valid":false,"code":"`+tt.code+`"}`)
			if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("X-User-Id") != "" || h.Get("X-Key-Id") != "" {
				t.Errorf("headers %v", h)
			}
		})
	}
	if w := r.do("GET", verifyPath, "Authorization", "bearer  "+good); w.Code != 200 {
		t.Errorf("the scheme in small letters: %d", w.Code)
	}
}

func TestVerifyKeyLimits(t *testing.T) {
	r := newRig(t)
	_, token := r.mustKeep(t, func(*apikey.Key) {})
	_, other := r.mustKeep(t, func(*apikey.Key) {})
	_, pro := r.mustKeep(t, func(k *apikey.Key) { k.Tier = "pro" })
	_, retired := r.mustKeep(t, func(k *apikey.Key) { k.Tier = "gone" })
	verify := func(token string) int { return r.do("GET", verifyPath, "Authorization", "Bearer "+token).Code }

	for _, step := range []struct {
		name  string
		token string
		want  int
	}{
		{"the first", token, 200},
		{"the second", token, 200},
		{"the third", token, 429},
		{"another key of the account", other, 200},
		{"a key of a higher tier", pro, 200},
		{"a key of a tier that is gone", retired, 200},
		{"has the least limit there is", retired, 429},
	} {
		if got := verify(step.token); got != step.want {
			t.Errorf("%s: %d, want %d", step.name, got, step.want)
		}
	}

	w := r.do("POST", verifyPath+"/x", "Authorization", "Bearer "+token)
	check(t, w, 429, `{"valid":false,"code":"RATE_LIMITED"}`)
	for name, want := range map[string]string{
		"Retry-After": "30", "RateLimit-Limit": "2", "RateLimit-Remaining": "0", "RateLimit-Reset": "60", "Cache-Control": "no-store", "X-Key-Id": "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	r.clock.Time = noon.Add(30 * time.Second)
	if got := verify(token); got != 200 {
		t.Errorf("when Retry-After is over: %d", got)
	}
}

func TestVerifyKeyWithoutDatabase(t *testing.T) {
	r := newRig(t)
	must(t, r.db.Close())
	w := r.do("GET", verifyPath, "Authorization", "Bearer obtk_"+strings.Repeat("a", 64))
	if w.Code < 500 || strings.Contains(w.Body.String(), "valid") || strings.Contains(w.Body.String(), "sql") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	check(t, r.do("GET", verifyPath), 401, `{"valid":false,"code":"MALFORMED"}`) // by its shape alone
}

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
		{"a path that begins like verify", "GET", verifyPath + "x", nil, 404, notFound},
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
