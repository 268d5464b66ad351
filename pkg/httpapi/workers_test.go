package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The tests of this file are named after the faults of the Workers that these services replace (contract: provisioning, end of
// section 7).

func TestANullBodyIsRefusedWithCORSHeaders(t *testing.T) {
	i := newInstallation(t)
	for _, path := range []string{"/signup", "/signin", "/forgot-password", "/send"} {
		w := post(t, i.sender, path, `null`, "Origin", origin)
		check(t, w, 400, `{"error":"invalid json","code":"JSON_PARSE_ERROR"}`)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("%s: Access-Control-Allow-Origin = %q", path, got)
		}
	}
	check(t, i.signed(t, time.Now(), `null`, `null`), 400, `{"error":"invalid json","code":"JSON_PARSE_ERROR"}`)
}

func TestNameAndTierAreChecked(t *testing.T) {
	i := newInstallation(t)
	jwt := i.mustSignUp(t, "reader@example.com")
	for _, tt := range []struct{ members, code string }{
		{`"tier":"new"`, "MISSING_FIELDS"},
		{`"name":"","tier":"new"`, "MISSING_FIELDS"},
		{`"name":"n","tier":7`, "MISSING_FIELDS"},
		{`"name":"a\u0000b","tier":"new"`, "INVALID_NAME"},
		{`"name":"` + strings.Repeat("n", 101) + `","tier":"new"`, "INVALID_NAME"},
		{`"name":"n","tier":"gold"`, "UNKNOWN_TIER"},
		{`"name":"n","tier":"NEW"`, "UNKNOWN_TIER"},
	} {
		w := post(t, i.sender, "/send", `{"action":"provision_api_key","jwt":"`+jwt+`",`+tt.members+`}`)
		if w.Code != 400 || code(t, w) != tt.code {
			t.Errorf("%s: %d %s, want %s", tt.members, w.Code, w.Body, tt.code)
		}
	}
}

func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var said struct{ Error, Code string }
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Error == "" {
		t.Errorf("the answer is %s: %v", w.Body, err)
	}
	return said.Code
}

func TestErrorsOfTheReceiverKeepTheirStatus(t *testing.T) {
	i := newInstallation(t)
	jwt := i.mustSignUp(t, "reader@example.com")
	send := func(jwt, name, tier string) *httptest.ResponseRecorder {
		return post(t, i.sender, "/send", `{"action":"provision_api_key","jwt":"`+jwt+`","name":"`+name+`","tier":"`+tier+`"}`)
	}
	made := regexp.MustCompile(`^\{"ok":true,"token":"obtk_[0-9a-f]{64}","keyId":"[0-9a-f-]{36}","prefix":"obtk_[0-9a-f]{3}","tier":"new"\}\n$`)
	w := send(jwt, "laptop", "new")
	if w.Code != 200 || !made.MatchString(w.Body.String()) || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s %v", w.Code, w.Body, w.Header())
	}
	check(t, send(jwt, "laptop", "new"), 200, strings.TrimSpace(w.Body.String()))
	check(t, send("a.b.c", "laptop", "new"), 401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`)
	check(t, send(jwt, "laptop", "pro"), 403, `{"error":"the account's plan does not include this tier","code":"TIER_NOT_ALLOWED"}`)
	check(t, send(jwt, "phone", "new"), 403, `{"error":"the account has as many keys as its plan allows","code":"QUOTA_EXCEEDED"}`)
	check(t, send(jwt, "laptop", "gold"), 400, `{"error":"unknown tier","code":"UNKNOWN_TIER"}`)
}

func TestDisallowedOriginsAreNotServed(t *testing.T) {
	i := newInstallation(t)
	for _, path := range []string{"/signup", "/signin", "/forgot-password", "/send", "/nowhere"} {
		w := post(t, i.sender, path, eventBody, "Origin", "https://evil.test")
		check(t, w, 403, `{"error":"the origin is not allowed","code":"FORBIDDEN"}`)
		if got := w.Header().Values("Access-Control-Allow-Origin"); len(got) != 0 {
			t.Errorf("%s: Access-Control-Allow-Origin = %q", path, got)
		}
	}
}

func TestSignUpKeepsThePasswordPolicy(t *testing.T) {
	i := newInstallation(t)
	w := post(t, i.sender, "/signup", `{"email":"reader@example.com","password":"short"}`)
	if w.Code != 400 || code(t, w) != "WEAK_PASSWORD" {
		t.Errorf("%d %s, want WEAK_PASSWORD", w.Code, w.Body)
	}
	if w := post(t, i.sender, "/signin", `{"email":"reader@example.com","password":"short"}`); w.Code != 401 {
		t.Errorf("the refused sign-up made an account: %d %s", w.Code, w.Body)
	}
}

// TestSignaturesAreComparedWhole holds that a signature is refused alike wherever it differs. That the comparison takes constant time
// is package signing's: it compares by hmac.Equal.
func TestSignaturesAreComparedWhole(t *testing.T) {
	i := newInstallation(t)
	headers, err := i.keys.Sign(time.Now(), []byte(eventBody))
	must(t, err)
	for at := range len(headers.Signature) {
		other := byte('0')
		if headers.Signature[at] == other {
			other = '1'
		}
		forged := headers.Signature[:at] + string(other) + headers.Signature[at+1:]
		check(t, post(t, i.receiver, "/inbox", eventBody, "X-Timestamp", headers.Timestamp, "X-Signature", forged),
			401, `{"error":"invalid signature","code":"INVALID_SIGNATURE"}`)
	}
}

func TestAReplayedSignatureIsRefused(t *testing.T) {
	i := newInstallation(t)
	at := time.Now()
	check(t, i.signed(t, at, eventBody, eventBody), 200, `{"ok":true,"received":`+eventBody+`}`)
	check(t, i.signed(t, at, eventBody, eventBody), 409, `{"error":"replay detected","code":"REPLAY_DETECTED"}`)
}

func TestVaryOriginStandsOnEveryResponse(t *testing.T) {
	i := newInstallation(t)
	for _, h := range []http.Handler{i.sender, i.receiver} {
		for _, tt := range []struct{ method, path, origin string }{
			{"GET", "/health", ""},
			{"HEAD", "/health", origin},
			{"GET", "/health", "https://evil.test"},
			{"OPTIONS", "/health", origin},
			{"OPTIONS", "/send", "https://evil.test"},
			{"GET", "/nowhere", ""},
			{"PUT", "/health", ""},
			{"POST", "/send", ""},
			{"POST", "/inbox", origin},
		} {
			req := httptest.NewRequest(tt.method, tt.path, http.NoBody)
			if tt.origin != "" {
				req.Header.Set("Origin", tt.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if got := w.Header().Values("Vary"); len(got) != 1 || got[0] != "Origin" {
				t.Errorf("%s %s from %q: %d with Vary %q", tt.method, tt.path, tt.origin, w.Code, got)
			}
		}
	}
}

func TestDecimalTimestampsAreRefused(t *testing.T) {
	i := newInstallation(t)
	headers, err := i.keys.Sign(time.Now(), []byte(eventBody))
	must(t, err)
	for _, timestamp := range []string{headers.Timestamp + ".0", headers.Timestamp + ".5", "0" + headers.Timestamp, "1.7e12"} {
		check(t, post(t, i.receiver, "/inbox", eventBody, "X-Timestamp", timestamp, "X-Signature", headers.Signature),
			401, `{"error":"stale or invalid timestamp","code":"STALE_TIMESTAMP"}`)
	}
}

func TestBodiesAreSignedAsBytes(t *testing.T) {
	i := newInstallation(t)
	raw := "{\"action\":\"ping\",\"userId\":\"\xff\",\"sentAt\":\"2026-03-20T10:15:30Z\"}"
	asText := strings.ToValidUTF8(raw, "\ufffd") // what a decoder to text makes of it
	const badJSON, badSignature = `{"error":"invalid json","code":"JSON_PARSE_ERROR"}`, `{"error":"invalid signature","code":"INVALID_SIGNATURE"}`
	check(t, post(t, i.sender, "/send", raw), 400, badJSON)
	check(t, i.signed(t, time.Now(), asText, raw), 401, badSignature)
	check(t, i.signed(t, time.Now(), raw, asText), 401, badSignature)
	check(t, i.signed(t, time.Now(), raw, raw), 400, badJSON) // rightly signed, but no JSON

	const noChange = `{"action":"ping","userId":"Zoë 🔑 \u005a","sentAt":"2026-03-20T10:15:30Z"}`
	check(t, post(t, i.sender, "/send", noChange), 200, `{"ok":true,"received":`+noChange+`}`)
}
