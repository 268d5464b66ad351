package supabaseapi_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

const createPath = "/functions/v1/api-keys-create"

func TestCreateKey(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	w := r.do("POST", createPath, `{"name":"Zoë 🔑","tier":"new","userId":"somebody else","unknown":[1]}`, "Authorization", g.bearer(), "Idempotency-Key", "intent 1")
	if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s, Cache-Control %q", w.Code, w.Body, w.Header().Get("Cache-Control"))
	}
	form := regexp.MustCompile(`^\{"token":"obtk_[0-9a-f]{64}","keyId":"[0-9a-f-]{36}","prefix":"obtk_[0-9a-f]{3}","tier":"new"\}\n$`)
	if !form.Match(w.Body.Bytes()) {
		t.Errorf("another form: %s", w.Body)
	}
	token, _ := object(t, w)["token"].(string)

	again := r.do("POST", createPath, `{"tier":"new","name":"Zoë 🔑"}`, "Authorization", g.bearer(), "Idempotency-Key", "intent 1")
	if again.Code != 200 || again.Body.String() != w.Body.String() {
		t.Errorf("the retry gets %d %s", again.Code, again.Body)
	}
	verified := object(t, r.do("GET", "/v1/keys/verify", "", "Authorization", "Bearer "+token))
	if verified["user_id"] != g.User.ID || verified["name"] != "Zoë 🔑" {
		t.Errorf("the key is verified as %v", verified)
	}
}

func TestCreateKeyRefusals(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g, full := r.mustSignUp(t, email), r.mustSignUp(t, "full@example.com")
	for range tiers[0].Keys {
		if w := r.do("POST", createPath, `{"name":"laptop","tier":"new"}`, "Authorization", full.bearer()); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := r.do("POST", createPath, `{"name":"laptop","tier":"new"}`, "Authorization", g.bearer(), "Idempotency-Key", "used"); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}

	const (
		invalidName = `{"error":"name must be 1 to 100 characters without control characters","code":"INVALID_NAME"}`
		unknownTier = `{"error":"unknown tier","code":"UNKNOWN_TIER"}`
		invalidKey  = `{"error":"Idempotency-Key must be one header of 1 to 255 printable ASCII characters","code":"INVALID_FIELD"}`
		notJSON     = `{"error":"invalid json","code":"JSON_PARSE_ERROR"}`
	)
	for _, tt := range []struct {
		name    string
		user    grant
		body    string
		headers []string
		status  int
		want    string
	}{
		{"no name", g, `{"tier":"new"}`, nil, 400, invalidName},
		{"a name of another type", g, `{"name":5,"tier":"new"}`, nil, 400, invalidName},
		{"a name of 101 characters", g, `{"name":"` + strings.Repeat("é", 101) + `","tier":"new"}`, nil, 400, invalidName},
		{"a name with a NUL", g, `{"name":"a\u0000b","tier":"new"}`, nil, 400, invalidName},
		{"no tier", g, `{"name":"laptop"}`, nil, 400, unknownTier},
		{"an unknown tier", g, `{"name":"laptop","tier":"gold"}`, nil, 400, unknownTier},
		{"a member in other letters", g, `{"name":"laptop","Tier":"new"}`, nil, 400, unknownTier},
		{"a tier above the plan", g, `{"name":"laptop","tier":"pro"}`, nil, 403, `{"error":"the account's plan does not include this tier","code":"TIER_NOT_ALLOWED"}`},
		{"a full quota", full, `{"name":"laptop","tier":"new"}`, nil, 403, `{"error":"the account has as many keys as its plan allows","code":"QUOTA_EXCEEDED"}`},
		{"a key used for another request", g, `{"name":"phone","tier":"new"}`, []string{"Idempotency-Key", "used"}, 422, `{"error":"the idempotency key was used for another request","code":"IDEMPOTENCY_KEY_REUSED"}`},
		{"an empty idempotency key", g, `{"name":"laptop","tier":"new"}`, []string{"Idempotency-Key", ""}, 400, invalidKey},
		{"a long one", g, `{"name":"laptop","tier":"new"}`, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, invalidKey},
		{"one that is not ASCII", g, `{"name":"laptop","tier":"new"}`, []string{"Idempotency-Key", "Zoë"}, 400, invalidKey},
		{"two of them", g, `{"name":"laptop","tier":"new"}`, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, invalidKey},
		{"no JSON", g, ``, nil, 400, notJSON},
		{"null", g, `null`, nil, 400, notJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, r.do("POST", createPath, tt.body, append(tt.headers, "Authorization", tt.user.bearer())...), tt.status, tt.want)
		})
	}
	check(t, r.do("GET", createPath, ""), 405, `{"error":"method not allowed","code":"METHOD_NOT_ALLOWED"}`)
	check(t, r.do("POST", "/functions/v1/other", ""), 404, `{"error":"not found","code":"NOT_FOUND"}`)
}

func TestCreateKeyForAnAccountThatLostItsPlan(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	must(t, r.db.SetPlan(t.Context(), g.User.ID, "gold", entry(audit.PlanSet, g.User.ID)))
	check(t, r.do("POST", createPath, `{"name":"laptop","tier":"new"}`, "Authorization", g.bearer()), 403,
		`{"error":"the account's plan does not include this tier","code":"TIER_NOT_ALLOWED"}`)
	must(t, r.db.SetPlan(t.Context(), g.User.ID, "pro", entry(audit.PlanSet, g.User.ID)))
	if w := r.do("POST", createPath, `{"name":"laptop","tier":"pro"}`, "Authorization", g.bearer()); w.Code != 200 {
		t.Errorf("in the plan pro: %d %s", w.Code, w.Body)
	}
}
