package nginx_test

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	noKey      = `{"error":{"code":"UNAUTHORIZED","message":"A valid API key is needed","details":{}}}`
	overLimit  = `{"error":{"code":"RATE_LIMITED","message":"Too many requests","details":{}}}`
	noVerifier = `{"error":{"code":"SERVICE_UNAVAILABLE","message":"The key could not be verified, try again","details":{}}}`
)

func TestForwardAuth(t *testing.T) {
	r := newRig(t)
	o := r.mustSignUp(t)
	t.Run("a good key", func(t *testing.T) { r.testGoodKey(t, o) })
	t.Run("a chunked body", func(t *testing.T) { r.testChunkedBody(t, o) })
	t.Run("no good key", func(t *testing.T) { r.testRefusals(t, o) })
	t.Run("over the limit", func(t *testing.T) { r.testLimit(t, o) })
	t.Run("a revoked key", func(t *testing.T) { r.testRevoked(t, o) })
	t.Run("odd requests", func(t *testing.T) { r.testOddRequests(t, o) })
	t.Run("without provisioner", func(t *testing.T) { r.testOutage(t, o) })
}

// testGoodKey has a client that claims to be somebody else, by every name that an API could read.
func (r *rig) testGoodKey(t *testing.T, o owner) {
	t.Helper()
	k := r.mustKey(t, o)
	a := do(t, "POST", r.url+"/books?q=1", "the body", "Authorization", "Bearer "+k.Token, "Cookie", "a=b", "X-Request-Id", "r1",
		"X-User-Id", "admin", "X-User-Id", "root", "x-key-id", "admin", "X-KEY-TIER", "gold", "X_User_Id", "admin", "X_Key_Tier", "gold")
	if a.status != 418 || a.body != "the API" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, want := range map[string]string{"RateLimit-Limit": strconv.Itoa(perMinute), "RateLimit-Remaining": strconv.Itoa(perMinute - 1)} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.header.Get("RateLimit-Reset") == "" || a.header.Get("X-User-Id") != "" || a.header.Get("Retry-After") != "" {
		t.Errorf("the client gets %v", a.header)
	}

	got := r.api.take()
	if len(got) != 1 || got[0].method != "POST" || got[0].path != "/books?q=1" || got[0].body != "the body" {
		t.Fatalf("the API gets %+v", got)
	}
	for name, want := range map[string]string{"X-User-Id": o.id, "X-Key-Id": k.ID, "X-Key-Tier": "new", "Cookie": "a=b", "X-Request-Id": "r1"} {
		if values := got[0].header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: the API gets %q, want %q", name, values, want)
		}
	}
	for _, name := range []string{"Authorization", "X_user_id", "X_key_tier"} {
		if values := got[0].header.Values(name); len(values) != 0 {
			t.Errorf("%s: the API gets %q", name, values)
		}
	}

	asked := r.verify.take()
	if len(asked) != 1 || asked[0].method != "GET" || asked[0].path != "/v1/keys/verify" || asked[0].body != "" {
		t.Fatalf("provisioner is asked %+v", asked)
	}
	if h := asked[0].header; h.Get("Authorization") != "Bearer "+k.Token || h.Get("Cookie") != "" || h.Get("X-User-Id") != "" || h.Get("Content-Length") != "" {
		t.Errorf("provisioner is asked with %v", h)
	}
}

func (r *rig) testChunkedBody(t *testing.T, o owner) {
	t.Helper()
	k := r.mustKey(t, o)
	r.api.take()
	r.verify.take()
	said := r.say(t, "PUT /books HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer "+k.Token+
		"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\nthe body\r\n0\r\n\r\n")
	if !strings.HasPrefix(said, "HTTP/1.1 418") {
		t.Fatal(said)
	}
	if got := r.api.take(); len(got) != 1 || got[0].method != "PUT" || got[0].body != "the body" {
		t.Errorf("the API gets %+v", got)
	}
	if asked := r.verify.take(); len(asked) != 1 || asked[0].method != "GET" || asked[0].body != "" || asked[0].header.Get("Transfer-Encoding") != "" {
		t.Errorf("provisioner is asked %+v", asked)
	}
}

// say sends nginx a request to the letter, and returns all that it says.
func (r *rig) say(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, request)
	must(t, err)
	said, err := io.ReadAll(conn)
	must(t, err)
	must(t, conn.Close())
	return string(said)
}

func (r *rig) testRefusals(t *testing.T, o owner) {
	t.Helper()
	for name, headers := range map[string][]string{
		"none":                       nil,
		"an identity of its own":     {"X-User-Id", o.id, "X-Key-Id", "k1"},
		"an unknown one":             {"Authorization", "Bearer obtk_" + strings.Repeat("a", 64)},
		"an access token":            {"Authorization", "Bearer " + o.access},
		"another scheme":             {"Authorization", "Basic cmVhZGVyOnB3"},
		"a long one":                 {"Authorization", "Bearer obtk_" + strings.Repeat("a", 4000)},
		"a cookie in place of a key": {"Cookie", "Authorization=Bearer"},
	} {
		for _, path := range []string{"/", "/books", "/a%2Fb/../c", "//", "/_verify_keys"} {
			a := do(t, "GET", r.url+path, "", headers...)
			if a.status != 401 || a.body != noKey {
				t.Errorf("%s for %s: %d %s", name, path, a.status, a.body)
			}
			h := a.header
			if h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("WWW-Authenticate") != "Bearer" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s for %s: %v", name, path, h)
			}
		}
	}
	if got := r.api.take(); len(got) != 0 {
		t.Errorf("the API gets %+v", got)
	}
}

func (r *rig) testLimit(t *testing.T, o owner) {
	t.Helper()
	k, other := r.mustKey(t, o), r.mustKey(t, o)
	for range perMinute {
		if a := do(t, "GET", r.url+"/books", "", "Authorization", "Bearer "+k.Token); a.status != 418 {
			t.Fatalf("within the limit: %d %s", a.status, a.body)
		}
	}
	r.api.take()
	a := do(t, "POST", r.url+"/books", "the body", "Authorization", "Bearer "+k.Token)
	if a.status != 429 || a.body != overLimit || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%d %s", a.status, a.body)
	}
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	for name, want := range map[string]string{"RateLimit-Limit": strconv.Itoa(perMinute), "RateLimit-Remaining": "0"} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := r.api.take(); len(got) != 0 {
		t.Errorf("the API gets %+v", got)
	}
	if a := do(t, "GET", r.url+"/books", "", "Authorization", "Bearer "+other.Token); a.status != 418 {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
}

func (r *rig) testRevoked(t *testing.T, o owner) {
	t.Helper()
	k := r.mustKey(t, o)
	if a := do(t, "GET", r.url+"/books", "", "Authorization", "Bearer "+k.Token); a.status != 418 {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	if a := do(t, "DELETE", r.papyrus+"/v1/keys/"+k.ID, "", "Authorization", "Bearer "+o.access); a.status != 204 {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if a := do(t, "GET", r.url+"/books", "", "Authorization", "Bearer "+k.Token); a.status != 401 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

// testOddRequests speaks to nginx without a client that would mend what it says.
func (r *rig) testOddRequests(t *testing.T, o owner) {
	t.Helper()
	r.api.take()
	k := r.mustKey(t, o)
	for name, request := range map[string]string{
		"the place that asks":           "GET /_verify_key HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer " + k.Token + "\r\nConnection: close\r\n\r\n",
		"a key under a longer name":     "GET / HTTP/1.1\r\nHost: api\r\nX-Authorization: Bearer " + k.Token + "\r\nConnection: close\r\n\r\n",
		"two keys, the good one last":   "GET / HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer x\r\nAuthorization: Bearer " + k.Token + "\r\nConnection: close\r\n\r\n",
		"a line break in the key":       "GET / HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer\r\n " + k.Token + "\r\nConnection: close\r\n\r\n",
		"a path that leads out":         "GET /../../v1/keys HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer " + k.Token + "\r\nConnection: close\r\n\r\n",
		"a chunked body without a key":  "POST / HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"an identity in the connection": "GET / HTTP/1.1\r\nHost: api\r\nX-User-Id: admin\r\nConnection: close, X-User-Id\r\n\r\n",
	} {
		said := r.say(t, request)
		if !strings.HasPrefix(said, "HTTP/1.1 4") || strings.HasPrefix(said, "HTTP/1.1 418") {
			t.Errorf("%s: %.200s", name, said)
		}
	}
	if got := r.api.take(); len(got) != 0 {
		t.Errorf("the API gets %+v", got)
	}
}

func (r *rig) testOutage(t *testing.T, o owner) {
	t.Helper()
	k := r.mustKey(t, o)
	r.stop(t)()
	a := do(t, "GET", r.url+"/books", "", "Authorization", "Bearer "+k.Token)
	if a.status != 503 || a.body != noVerifier {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := r.api.take(); len(got) != 0 {
		t.Errorf("the API gets %+v", got)
	}
}
