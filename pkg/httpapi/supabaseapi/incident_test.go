package supabaseapi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// public are the routes of the accounts service, in all its APIs, that anybody may call. A route that is added to them is meant.
var public = []string{
	"GET /auth/v1/.well-known/jwks.json", "GET /auth/v1/health", "GET /auth/v1/settings",
	"GET /docs", "GET /docs/*", "GET /health", "GET /openapi.json", "GET /probes/liveness", "GET /probes/readiness", "GET /probes/startup",
	"GET /v1/auth/jwks", "GET /v1/auth/oauth/google/callback", "GET /v1/auth/oauth/google/start", "GET /v1/sync/settings",
	"POST /auth/v1/recover", "POST /auth/v1/signup", "POST /auth/v1/token",
	"POST /v1/auth/exchange-code", "POST /v1/auth/forgot-password", "POST /v1/auth/login", "POST /v1/auth/refresh", "POST /v1/auth/register",
	"POST /v1/auth/resend-verification", "POST /v1/auth/reset-password", "POST /v1/auth/verify-email",
}

// TestRoutesAreClosedByDefault is named after CVE-2026-21894, in which one handler was not behind the verifier, and CVE-2026-40344, in
// which a way to sign in that was added fell through to "ok": every route but the public ones is 401 to whoever has no credentials, or
// has some of another kind. The document says the same.
func TestRoutesAreClosedByDefault(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	if diff := cmp.Diff(withoutSecurity(t), public); diff != "" {
		t.Errorf("operations without security in the document (-) and the public routes (+):\n%s", diff)
	}
	none := [][]string{
		nil,
		{"Authorization", ""},
		{"Authorization", "Bearer"},
		{"Authorization", "Bearer null"},
		{"Authorization", "Basic cmVhZGVyOnBhc3N3b3Jk"},
		{"Authorization", "Negotiate YIIB"},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=a/20260320/eu/s3/aws4_request, SignedHeaders=host, Signature=0"},
		{"Authorization", "Bearer obtk_" + strings.Repeat("a", 64)},
		{"Authorization", "Bearer " + g.Refresh},
		{"Authorization", "Bearer " + g.User.ID},
		{"Authorization", "Bearer ", "Authorization", g.bearer()},
		{"X-User-Id", g.User.ID, "X-Key-Id", g.User.ID},
		{"Apikey", g.Access},
		{"Cookie", "access_token=" + g.Access + "; sb-access-token=" + g.Access},
		{"X-Authorization", g.bearer(), "Proxy-Authorization", g.bearer(), "X-Original-Authorization", g.bearer()},
		{"X-Http-Method-Override", "OPTIONS", "X-Original-Url", "/health", "X-Rewrite-Url", "/health"},
	}
	for _, route := range r.Handler.(*echo.Echo).Routes() {
		if isPublic(route) {
			continue
		}
		refusals := []int{http.StatusUnauthorized}
		if strings.HasPrefix(route.Path, "/auth/v1/") {
			refusals = append(refusals, http.StatusForbidden) // Supabase's for a token that is none
		}
		for _, headers := range none {
			w := r.do(route.Method, route.Path+"?access_token="+g.Access, `{"access_token":"`+g.Access+`"}`, headers...)
			if !slices.Contains(refusals, w.Code) {
				t.Errorf("%s %s with %.60q: %d %.200s", route.Method, route.Path, headers, w.Code, w.Body)
			}
		}
	}
}

// isPublic reports whether a route is one of the public ones, HEAD with GET.
func isPublic(route *echo.Route) bool {
	path := variable.ReplaceAllString(route.Path, "*")
	if strings.HasPrefix(path, "/docs/") {
		path = "/docs/*"
	}
	return slices.Contains(public, strings.Replace(route.Method, http.MethodHead, http.MethodGet, 1)+" "+path)
}

// variable is a part of a route or a path that stands for any value.
var variable = regexp.MustCompile(`:[^/]+|\{[^}]+\}`)

// withoutSecurity returns the operations of the document that want no credentials, in order.
func withoutSecurity(t *testing.T) (open []string) {
	t.Helper()
	var document struct {
		Security []any
		Paths    map[string]map[string]json.RawMessage
	}
	must(t, json.Unmarshal(papyrus.Document, &document))
	for path, item := range document.Paths {
		for method, text := range item {
			var operation struct {
				Responses map[string]any
				Security  []any
			}
			if json.Unmarshal(text, &operation) != nil || operation.Responses == nil { // parameters, and what else a path has
				continue
			}
			if len(operation.Security) == 0 && len(document.Security) == 0 {
				open = append(open, strings.ToUpper(method)+" "+variable.ReplaceAllString(path, "*"))
			}
		}
	}
	slices.Sort(open)
	return open
}

// TestBodiesDoNotNameTheOwnerOfAKey is named after CVE-2025-61928, in which the body of an unauthenticated request named the user for
// whom a key was made.
func TestBodiesDoNotNameTheOwnerOfAKey(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	victim, attacker := r.mustSignUp(t, email), r.mustSignUp(t, "attacker@example.com")
	body := `{"name":"mine","tier":"new"`
	for _, name := range []string{"userId", "user_id", "UserID", "sub", "owner", "email", "keyId", "plan", "hash"} {
		body += `,"` + name + `":"` + victim.User.ID + `"`
	}
	body += `}`
	if w := r.do("POST", createPath, body); w.Code != http.StatusUnauthorized {
		t.Errorf("without credentials: %d %s", w.Code, w.Body)
	}
	made := object(t, r.do("POST", createPath, body, "Authorization", attacker.bearer()))
	key, _ := made["token"].(string)
	verified := object(t, r.do("GET", "/v1/keys/verify", "", "Authorization", "Bearer "+key))
	if verified["user_id"] != attacker.User.ID || made["keyId"] == victim.User.ID {
		t.Errorf("the key is %v", verified)
	}
}

// TestSignUpIgnoresServerControlledFields is named after CVE-2026-27946, in which users told the server that their e-mail was verified.
func TestSignUpIgnoresServerControlledFields(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	const extra = `"email_confirm":true,"email_verified":true,"email_confirmed_at":"2026-01-01T00:00:00Z","role":"service_role","aud":"admin",` +
		`"app_metadata":{"role":"admin","provider":"google"},"is_super_admin":true,"id":"0195b1b2-0000-7000-8000-000000000001","plan":"pro",` +
		`"data":{"display_name":"Zoë","email_verified":true,"role":"admin","plan":"pro","sub":"1"}`
	g := mustGrant(t, r.do("POST", "/auth/v1/signup", `{"email":"`+email+`","password":"`+right+`",`+extra+`}`))
	got, err := r.db.UserByID(t.Context(), g.User.ID)
	must(t, err)
	want := account.User{ID: g.User.ID, Email: email, DisplayName: "Zoë", Plan: "new", CreatedAt: noon, LastLoginAt: noon}
	if diff := cmp.Diff(want, got); diff != "" || g.User.ID == "0195b1b2-0000-7000-8000-000000000001" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	user := object(t, r.do("GET", "/auth/v1/user", "", "Authorization", g.bearer()))
	if user["role"] != "authenticated" || user["aud"] != "authenticated" || user["email_confirmed_at"] != nil {
		t.Errorf("the user's object: %v", user)
	}
}

// TestTheDatabaseHoldsNoSecrets is named after gateways that kept API keys as they are, or so that they could be had back: whoever
// reads the database, or a copy of it, can use nothing that is in it.
func TestTheDatabaseHoldsNoSecrets(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	made := object(t, r.do("POST", createPath, `{"name":"laptop","tier":"new"}`, "Authorization", g.bearer(), "Idempotency-Key", "intent"))
	key, _ := made["token"].(string)
	rotated := object(t, r.do("POST", "/v1/keys/"+made["keyId"].(string)+"/rotate", `{"grace_seconds":60}`, "Authorization", g.bearer()))
	successor, _ := rotated["token"].(string)
	next := mustGrant(t, r.refresh(g.Refresh))

	held := files(t)
	if !bytes.Contains(held, []byte(email)) || !bytes.Contains(held, []byte(key[:8])) {
		t.Fatal("the database was not read")
	}
	for name, secret := range map[string]string{
		"password": right, "API key": key, "its successor": successor, "refresh token": g.Refresh, "current refresh token": next.Refresh,
		"access token": g.Access, "signature of the access token": g.Access[strings.LastIndex(g.Access, ".")+1:],
	} {
		if secret == "" {
			t.Fatalf("no %s", name)
		}
		raw, err := hex.DecodeString(strings.TrimPrefix(secret, "obtk_"))
		if err != nil {
			raw = []byte(secret)
		}
		if bytes.Contains(held, []byte(strings.TrimPrefix(secret, "obtk_"))) || bytes.Contains(held, raw) {
			t.Errorf("the database holds the %s", name)
		}
	}
}

// files returns all that the test's directories hold: the database with its log.
func files(t *testing.T) (held []byte) {
	t.Helper()
	dir := os.DirFS(filepath.Dir(t.TempDir()))
	must(t, fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dir, path)
		held = append(held, content...)
		return err
	}))
	return held
}
