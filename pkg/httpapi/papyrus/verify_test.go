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

// TestEncodedPathsDoNotBypassVerify is named after CVE-2026-55677, in which an encoded slash led around a route's protection: no
// spelling of the path gives an identity to whoever has no key.
func TestEncodedPathsDoNotBypassVerify(t *testing.T) {
	r := newRig(t)
	_, token := r.mustKeep(t, func(*apikey.Key) {})
	for _, tt := range []struct {
		path    string
		serving bool // a good key is told so there
	}{
		{"/v1/keys/verify/a%2Fb", true},
		{"/v1/keys/verify/%2e%2e/%2e%2e/health", true},
		{"/v1/keys/verify/%00", true},
		{"/v1/keys/verify//", true},
		{"/v1/keys/verify%2F", false},
		{"/v1/keys/verify%2Fx", false},
		{"/v1/keys/verify%252Fx", false},
		{"/v1/keys%2Fverify", false},
		{"/v1%2Fkeys%2Fverify", false},
		{"/v1/keys/%76erify", false},
		{"/v1/keys/verify%20", false},
		{"/v1/keys/verify;x", false},
		{"/v1/keys/./verify", false},
		{"/v1/keys/x/../verify", false},
		{"//v1/keys/verify", false},
		{"/V1/KEYS/VERIFY", false},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "PROPFIND"} {
			t.Run(method+" "+tt.path, func(t *testing.T) {
				for _, headers := range [][]string{nil, {"Authorization", "Bearer obtk_" + strings.Repeat("a", 64)}, {"X-User-Id", r.user}} {
					w := r.do(method, tt.path, headers...)
					if w.Code < 400 || w.Header().Get("X-User-Id") != "" {
						t.Errorf("without a key: %d %s", w.Code, w.Body)
					}
				}
				w := r.do(method, tt.path, "Authorization", "Bearer "+token)
				if w.Code == 200 != (w.Header().Get("X-User-Id") == r.user) || w.Code == 200 && !tt.serving {
					t.Errorf("with a key: %d %s", w.Code, w.Body)
				}
				r.clock.Time = r.clock.Add(time.Minute) // the limit of the tier
			})
		}
	}
}
