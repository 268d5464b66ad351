package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/store"
)

func TestHealth(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	const healthy = `{"ok":true,"service":"receiver-worker"}`
	for _, tt := range []struct{ method, origin, body string }{
		{http.MethodGet, "", healthy}, {http.MethodHead, "", ""}, {http.MethodGet, origin, healthy},
	} {
		req := httptest.NewRequest(tt.method, "/health", http.NoBody)
		if tt.origin != "" {
			req.Header.Set("Origin", tt.origin)
		}
		w := r.do(req)
		check(t, w, 200, tt.body)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != tt.origin {
			t.Errorf("%s from %q is allowed to %q", tt.method, tt.origin, got)
		}
	}
}

func TestInboxProvisions(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	w := r.do(r.signed(t, keyBody))
	check(t, w, 200, `{"ok":true,"token":"obtk_0123","keyId":"id1","prefix":"obtk_012","tier":"new"}`)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
}

func TestInboxAnswersAnEventWithItsOwnBytes(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	body := "{ \"action\" : \"ping\",\n\"userId\":\"u1\", \"sentAt\":\"2026-03-20T10:15:30.000Z\", \"x\": 1.50, \"y\":\"<Zo\\u00eb>\" }"
	check(t, r.do(r.signed(t, body)), 200, `{"ok":true,"received":`+body+`}`)
	if events := mustEvents(t, r.db); len(events) != 1 || string(events[0].Body) != body {
		t.Errorf("events: %+v", events)
	}
}

func mustEvents(t *testing.T, db *store.DB) []event.Event {
	t.Helper()
	var events []event.Event
	for e, err := range db.Events(t.Context(), event.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func TestInboxForwards(t *testing.T) {
	var got []http.Header
	r := newRig(t, newStore(t), setUp{project: func(req *http.Request) (*http.Response, error) {
		got = append(got, req.Header.Clone())
		return healthy(req)
	}})
	req := r.signed(t, keyBody)
	with("X-Request-Id", "id-1")(req)
	with("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")(req)
	if w := r.do(req); w.Code != 200 || w.Header().Get("X-Request-Id") != "id-1" {
		t.Errorf("%d, request id %q", w.Code, w.Header().Get("X-Request-Id"))
	}
	if len(got) != 2 {
		t.Fatalf("%d calls to the project", len(got))
	}
	for _, h := range got {
		if h.Get("X-Request-Id") != "id-1" || h.Get("Traceparent") == "" || h.Get("Authorization") != "Bearer a.b.c" || h.Get("Apikey") != "anon" {
			t.Errorf("headers to the project: %v", h)
		}
	}
	if key := got[1].Get("Idempotency-Key"); len(key) != 32 {
		t.Errorf("Idempotency-Key to the function = %q", key)
	}
}

// TestInboxRefusals has a row for every error of section 3 of the contract.
func TestInboxRefusals(t *testing.T) {
	ok := says(200, userJSON)
	late := fails(context.DeadlineExceeded)
	function := func(status int, body string) setUp { return setUp{project: project(ok, says(status, body))} }
	user := func(status int, body string) setUp {
		return setUp{project: project(says(status, body), says(200, keyJSON))}
	}
	key := func(name, tier, more string) string {
		return `{"action":"provision_api_key","jwt":"$JWT","name":"` + name + `","tier":"` + tier + `"` + more + `}`
	}
	good := key("laptop", "new", "")
	db := newStore(t)
	for i, tt := range []struct {
		name   string
		setUp  setUp
		body   string
		edit   edit
		status int
		want   string
	}{
		{"no action", setUp{}, `{}`, nil, 400, `{"error":"missing or not a string: action","code":"MISSING_FIELDS"}`},
		{"no name", setUp{}, `{"action":"provision_api_key","jwt":"$JWT","tier":"new"}`, nil, 400, `{"error":"missing or not a string: name","code":"MISSING_FIELDS"}`},
		{"an event without time", setUp{}, `{"action":"ping","userId":"u1"}`, nil, 400, `{"error":"missing or not a string: sentAt","code":"MISSING_FIELDS"}`},
		{"an event without a true time", setUp{}, `{"action":"ping","userId":"u1","sentAt":"x"}`, nil, 400, `{"error":"sentAt must be an RFC 3339 time","code":"INVALID_FIELD"}`},
		{"an Idempotency-Key too long", setUp{}, good, with("Idempotency-Key", strings.Repeat("k", 256)), 400, `{"error":"Idempotency-Key must be one header of 1 to 255 printable ASCII characters","code":"INVALID_FIELD"}`},
		{"an unknown action", setUp{}, `{"action":"ping"}`, nil, 400, `{"error":"unknown action","code":"UNKNOWN_ACTION"}`},
		{"a name of 101 characters", setUp{}, key(strings.Repeat("ü", 101), "new", ""), nil, 400, `{"error":"name must be 1 to 100 characters without control characters","code":"INVALID_NAME"}`},
		{"a control character in the name", setUp{}, key(`a\u0000`, "new", ""), nil, 400, `{"error":"name must be 1 to 100 characters without control characters","code":"INVALID_NAME"}`},
		{"an unknown tier", setUp{}, key("laptop", "gold", ""), nil, 400, `{"error":"unknown tier","code":"UNKNOWN_TIER"}`},
		{"no JWT", setUp{}, `{"action":"provision_api_key","name":"laptop","tier":"new"}`, with("Authorization", "Bearer a.b.c"), 401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`},
		{"a JWT that Supabase refuses with 401", user(401, `{"code":401,"error_code":"no_authorization","msg":"x"}`), good, nil, 401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`},
		{"a JWT that Supabase refuses with 403", user(403, `{"code":403,"error_code":"session_not_found","msg":"x"}`), good, nil, 401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`},
		{"the function answered 401", function(401, `{"msg":"x"}`), good, nil, 401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`},
		{"another user's id", setUp{}, key("laptop", "new", `,"userId":"u2"`), nil, 403, `{"error":"userId is not the user of the jwt","code":"FORBIDDEN"}`},
		{"a tier above the plan", function(403, `{"code":"TIER_NOT_ALLOWED"}`), good, nil, 403, `{"error":"the account's plan does not include this tier","code":"TIER_NOT_ALLOWED"}`},
		{"too many keys", function(403, `{"code":"QUOTA_EXCEEDED"}`), good, nil, 403, `{"error":"the account has as many keys as its plan allows","code":"QUOTA_EXCEEDED"}`},
		{"a key reused upstream", function(422, `{"code":"IDEMPOTENCY_KEY_REUSED"}`), good, nil, 422, `{"error":"the idempotency key was used for another request","code":"IDEMPOTENCY_KEY_REUSED"}`},
		{"an unknown tier upstream", function(400, `{"code":"UNKNOWN_TIER"}`), good, nil, 400, `{"error":"unknown tier","code":"UNKNOWN_TIER"}`},
		{"a bad name upstream", function(400, `{"code":"INVALID_NAME"}`), good, nil, 400, `{"error":"name must be 1 to 100 characters without control characters","code":"INVALID_NAME"}`},
		{"the function refused in its own words", function(409, `{"error":"duplicate key in api_keys","code":"DUPLICATE"}`), good, nil, 409, `{"error":"the key issuer refused the request","code":"PROVISION_ERROR"}`},
		{"the function answered 5xx", function(500, `{"error":"duplicate key in api_keys"}`), good, nil, 502, `{"error":"the key could not be created","code":"PROVISION_ERROR"}`},
		{"the function is down", setUp{project: project(ok, fails(errors.New("connection refused")))}, good, nil, 502, `{"error":"the key could not be created","code":"PROVISION_ERROR"}`},
		{"the function does not answer", setUp{project: project(ok, late)}, good, nil, 504, `{"error":"the key was not created in time","code":"PROVISION_TIMEOUT"}`},
		{"Supabase answers 5xx", user(503, `{}`), good, nil, 502, `{"error":"the identity provider is unavailable","code":"IDENTITY_UNAVAILABLE"}`},
		{"Supabase is down", setUp{project: project(fails(errors.New("connection refused")), ok)}, good, nil, 502, `{"error":"the identity provider is unavailable","code":"IDENTITY_UNAVAILABLE"}`},
		{"Supabase does not answer", setUp{project: project(late, ok)}, good, nil, 504, `{"error":"the identity provider did not answer in time","code":"IDENTITY_TIMEOUT"}`},
		{"the store is down for a nonce", setUp{nonces: storeDown{}}, good, nil, 503, storeDownAnswer},
		{"the store is down for a claim", setUp{claims: storeDown{}}, good, nil, 503, storeDownAnswer},
		{"the store is down for an event", setUp{nonces: storeDown{}}, eventBody, nil, 503, storeDownAnswer},
		{"a fault of ours", setUp{project: func(*http.Request) (*http.Response, error) { panic("nil map at db.internal") }}, good, nil, 500, `{"error":"internal error","code":"INTERNAL_ERROR"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, db, tt.setUp)
			body := strings.ReplaceAll(tt.body, "$JWT", fmt.Sprintf("a.b.row%d", i))
			req := r.signed(t, body)
			with("Origin", origin)(req)
			if tt.edit != nil {
				tt.edit(req)
			}
			w := r.do(req)
			check(t, w, tt.status, tt.want)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("Access-Control-Allow-Origin = %q", got)
			}
			if tt.status == 503 && w.Header().Get("Retry-After") != "1" {
				t.Errorf("Retry-After = %q", w.Header().Get("Retry-After"))
			}
		})
	}
}

func TestIdempotencyKeyUsedForAnotherRequest(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	send := func(body string) *httptest.ResponseRecorder {
		req := r.signed(t, body)
		req.Header.Set("Idempotency-Key", "k")
		return r.do(req)
	}
	first := send(keyBody)
	check(t, first, 200, `{"ok":true,"token":"obtk_0123","keyId":"id1","prefix":"obtk_012","tier":"new"}`)
	check(t, send(strings.Replace(keyBody, "laptop", "phone", 1)), 422, `{"error":"the idempotency key was used for another request","code":"IDEMPOTENCY_KEY_REUSED"}`)
	check(t, send(keyBody), 200, strings.TrimSpace(first.Body.String()))
}

func TestPathsAndMethods(t *testing.T) {
	r := newRig(t, newStore(t), setUp{})
	const notFound, notAllowed = `{"error":"not found","code":"NOT_FOUND"}`, `{"error":"method not allowed","code":"METHOD_NOT_ALLOWED"}`
	for _, tt := range []struct {
		method, path string
		status       int
		want, allow  string
	}{
		{"GET", "/", 404, notFound, ""},
		{"POST", "/send", 404, notFound, ""},
		{"POST", "/inbox/", 404, notFound, ""},
		{"POST", "/%2Finbox", 404, notFound, ""},
		{"GET", "/inbox", 405, notAllowed, "OPTIONS, POST"},
		{"HEAD", "/inbox", 405, "", "OPTIONS, POST"},
		{"PUT", "/inbox", 405, notAllowed, "OPTIONS, POST"},
		{"POST", "/health", 405, notAllowed, "OPTIONS, GET, HEAD"},
		{"BREW", "/health", 405, notAllowed, "OPTIONS, GET, HEAD"},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := r.do(httptest.NewRequest(tt.method, tt.path, http.NoBody))
			check(t, w, tt.status, tt.want)
			if got := w.Header().Get("Allow"); got != tt.allow {
				t.Errorf("Allow = %q, want %q", got, tt.allow)
			}
		})
	}
	for _, path := range []string{"/", "/inbox", "/health"} {
		w := r.do(httptest.NewRequest(http.MethodOptions, path, http.NoBody))
		if w.Code != 204 || w.Body.Len() != 0 || w.Header().Get("X-Request-Id") == "" || w.Header().Get("Vary") != "Origin" {
			t.Errorf("OPTIONS %s: %d %s %v", path, w.Code, w.Body, w.Header())
		}
	}
}

// TestEverythingIsVerified holds that no request reaches the domain without a signature, whatever it looks like.
func TestEverythingIsVerified(t *testing.T) {
	r := newRig(t, newStore(t), setUp{project: func(*http.Request) (*http.Response, error) {
		t.Error("the project was asked")
		return nil, errors.New("no")
	}})
	for _, body := range []string{keyBody, eventBody, `null`, ``} {
		req := httptest.NewRequest(http.MethodPost, "/inbox", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer a.b.c")
		check(t, r.do(req), 401, missingHeaders)
	}
	if events := mustEvents(t, r.db); len(events) != 0 {
		t.Errorf("events: %+v", events)
	}
}
