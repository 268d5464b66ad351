package sender_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
)

const (
	invalidJSON   = `{"error":"invalid json","code":"JSON_PARSE_ERROR"}`
	invalidAuth   = `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`
	notJSON       = `{"error":"the body must be application/json in UTF-8","code":"UNSUPPORTED_MEDIA_TYPE"}`
	encoded       = `{"error":"the body must have no content encoding and no trailers","code":"UNSUPPORTED_MEDIA_TYPE"}`
	tooLarge      = `{"error":"the body is too large","code":"BODY_TOO_LARGE"}`
	unreachable   = `{"error":"the receiver is unreachable","code":"RECEIVER_UNREACHABLE"}`
	misconfigured = `{"error":"sender and receiver do not agree; the operator has to look at their configuration","code":"RECEIVER_MISCONFIGURED"}`
	noIdentity    = `{"error":"the identity provider is unavailable","code":"IDENTITY_UNAVAILABLE"}`
	lateIdentity  = `{"error":"the identity provider did not answer in time","code":"IDENTITY_TIMEOUT"}`
	rateLimited   = `{"error":"too many requests","code":"RATE_LIMITED"}`
	badKey        = `{"error":"Idempotency-Key must be one header of 1 to 255 printable ASCII characters","code":"INVALID_FIELD"}`
)

// refused is the project's refusal of sign-up and sign-in.
func refused(status int, code string) setUp {
	return setUp{project: says(status, `{"code":400,"error_code":"`+code+`","msg":"as db.internal says"}`)}
}

func receives(status int, body string, header ...string) setUp {
	return setUp{receiver: says(status, body, header...)}
}

// TestErrors has a row for every error of section 2 of the contract; limits have tests of their own. All come from an allowed
// origin, and say so.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name       string
		setUp      setUp
		path, body string
		edit       edit
		status     int
		want       string
	}{
		{"sign-up: not an object", setUp{}, "/signup", `null`, nil, 400, invalidJSON},
		{"sign-in: an array", setUp{}, "/signin", `[]`, nil, 400, invalidJSON},
		{"forgot-password: empty", setUp{}, "/forgot-password", ``, nil, 400, invalidJSON},
		{"send: cut off", setUp{}, "/send", `{`, nil, 400, invalidJSON},
		{"send: a member twice", setUp{}, "/send", `{"action":"a","action":"b"}`, nil, 400, invalidJSON},
		{"sign-up: no password", setUp{}, "/signup", `{"email":"a@b.c"}`, nil, 400, `{"error":"missing or not a string: password","code":"MISSING_FIELDS"}`},
		{"sign-in: nothing", setUp{}, "/signin", `{}`, nil, 400, `{"error":"missing or not a string: email, password","code":"MISSING_FIELDS"}`},
		{"forgot-password: no e-mail", setUp{}, "/forgot-password", `{}`, nil, 400, `{"error":"missing or not a string: email","code":"MISSING_FIELDS"}`},
		{"send: no action", setUp{}, "/send", `{}`, nil, 400, `{"error":"missing or not a string: action","code":"MISSING_FIELDS"}`},
		{"send: no name, no tier", setUp{}, "/send", `{"action":"provision_api_key","jwt":"a.b.c"}`, nil, 400, `{"error":"missing or not a string: name, tier","code":"MISSING_FIELDS"}`},
		{"send: an event without time", setUp{}, "/send", `{"action":"ping","userId":"u1"}`, nil, 400, `{"error":"missing or not a string: sentAt","code":"MISSING_FIELDS"}`},
		{"send: no true time", setUp{}, "/send", `{"action":"ping","userId":"u1","sentAt":"x"}`, nil, 400, `{"error":"sentAt must be an RFC 3339 time","code":"INVALID_FIELD"}`},
		{"send: an Idempotency-Key too long", setUp{}, "/send", keyBody, with("Idempotency-Key", strings.Repeat("k", 256)), 400, badKey},
		{"send: an empty Idempotency-Key", setUp{}, "/send", keyBody, with("Idempotency-Key", ""), 400, badKey},
		{"send: an unknown action", setUp{}, "/send", `{"action":"ping"}`, nil, 400, `{"error":"unknown action","code":"UNKNOWN_ACTION"}`},
		{"sign-up: no e-mail address", setUp{}, "/signup", `{"email":"a@b","password":"p"}`, nil, 400, `{"error":"email must be a valid address","code":"INVALID_EMAIL"}`},
		{"forgot-password: no e-mail address", setUp{}, "/forgot-password", `{"email":"a@b"}`, nil, 400, `{"error":"email must be a valid address","code":"INVALID_EMAIL"}`},
		{"sign-up: 255 characters", setUp{}, "/signup", `{"email":"` + strings.Repeat("a", 251) + `@b.c","password":"p"}`, nil, 400, `{"error":"email must be a valid address","code":"INVALID_EMAIL"}`},
		{"sign-up: a weak password", refused(422, "weak_password"), "/signup", credentials, nil, 400, `{"error":"as db.internal says","code":"WEAK_PASSWORD"}`},
		{"sign-up: any other 4xx", refused(400, "validation_failed"), "/signup", credentials, nil, 400, `{"error":"the identity provider refused the request","code":"IDENTITY_REFUSED"}`},
		{"sign-in: any other 4xx", refused(418, ""), "/signin", credentials, nil, 400, `{"error":"the identity provider refused the request","code":"IDENTITY_REFUSED"}`},
		{"send: no jwt, but a header", setUp{}, "/send", `{"action":"provision_api_key","name":"n","tier":"new"}`, with("Authorization", "Bearer a.b.c"), 401, invalidAuth},
		{"send: a malformed jwt", setUp{}, "/send", `{"action":"provision_api_key","jwt":"a.b","name":"n","tier":"new"}`, nil, 401, invalidAuth},
		{"sign-in: wrong", refused(400, "invalid_credentials"), "/signin", credentials, nil, 401, `{"error":"invalid email or password","code":"INVALID_CREDENTIALS"}`},
		{"sign-in: banned", refused(400, "user_banned"), "/signin", credentials, nil, 401, `{"error":"invalid email or password","code":"INVALID_CREDENTIALS"}`},
		{"sign-in: not confirmed", refused(400, "email_not_confirmed"), "/signin", credentials, nil, 403, `{"error":"the email address is not confirmed yet","code":"EMAIL_NOT_CONFIRMED"}`},
		{"sign-up: disabled", refused(422, "signup_disabled"), "/signup", credentials, nil, 403, `{"error":"sign-up is disabled","code":"SIGNUP_DISABLED"}`},
		{"sign-up: taken", refused(422, "user_already_exists"), "/signup", credentials, nil, 409, `{"error":"an account with this email exists","code":"EMAIL_TAKEN"}`},
		{"a body over the limit", setUp{}, "/send", strings.Repeat("x", bodyLimit+1), nil, 413, tooLarge},
		{"a body over the limit, of unknown length", setUp{}, "/signup", strings.Repeat("x", bodyLimit+1), func(r *http.Request) { r.ContentLength = -1 }, 413, tooLarge},
		{"no content type", setUp{}, "/send", eventBody, with("Content-Type"), 415, notJSON},
		{"a form", setUp{}, "/signin", "a=b", with("Content-Type", "application/x-www-form-urlencoded"), 415, notJSON},
		{"text", setUp{}, "/send", eventBody, with("Content-Type", "text/plain"), 415, notJSON},
		{"nearly JSON", setUp{}, "/send", eventBody, with("Content-Type", "application/json5"), 415, notJSON},
		{"another charset", setUp{}, "/send", eventBody, with("Content-Type", "application/json; charset=latin1"), 415, notJSON},
		{"a content encoding", setUp{}, "/send", eventBody, with("Content-Encoding", "gzip"), 415, encoded},
		{"trailers", setUp{}, "/send", eventBody, func(r *http.Request) { r.Trailer = http.Header{"X-Late": nil} }, 415, encoded},
		{"sign-in: the project is down", setUp{project: fails(errors.New("refused"))}, "/signin", credentials, nil, 502, noIdentity},
		{"sign-up: the project answers 5xx", refused(503, "x"), "/signup", credentials, nil, 502, noIdentity},
		{"forgot-password: the project answers a redirect", setUp{project: says(302, "", "Location", "https://evil.test")}, "/forgot-password", `{"email":"a@b.c"}`, nil, 502, noIdentity},
		{"sign-in: the project is late", setUp{project: fails(context.DeadlineExceeded)}, "/signin", credentials, nil, 504, lateIdentity},
		{"a fault of ours", setUp{project: transport(func(*http.Request) (*http.Response, error) { panic("at db.internal") })}, "/signin", credentials, nil, 500, `{"error":"internal error","code":"INTERNAL_ERROR"}`},

		{"the receiver is down", setUp{receiver: fails(errors.New("refused"))}, "/send", eventBody, nil, 502, unreachable},
		{"the receiver is late", setUp{receiver: transport(hangs), timeout: 20 * time.Millisecond}, "/send", eventBody, nil, 504, `{"error":"the receiver did not answer in time","code":"RECEIVER_TIMEOUT"}`},
		{"refused for missing headers", receives(401, `{"error":"x","code":"MISSING_AUTH_HEADERS"}`), "/send", eventBody, nil, 502, misconfigured},
		{"refused for its time", receives(401, `{"error":"x","code":"STALE_TIMESTAMP"}`), "/send", eventBody, nil, 502, misconfigured},
		{"refused for its signature", receives(401, `{"error":"x","code":"INVALID_SIGNATURE"}`), "/send", eventBody, nil, 502, misconfigured},
		{"refused for its signature by a Worker", receives(401, `{"error":"invalid signature"}`), "/send", eventBody, nil, 502, misconfigured},
		{"refused as a replay, again and again", receives(409, `{"error":"x","code":"REPLAY_DETECTED"}`), "/send", eventBody, nil, 502, misconfigured},
		{"a redirect", receives(307, `{}`, "Location", "https://evil.test/inbox"), "/send", eventBody, nil, 502, misconfigured},
		{"a page", receives(200, `<html>`), "/send", eventBody, nil, 502, misconfigured},
		{"a gateway's page", receives(503, `<html>`), "/send", eventBody, nil, 502, misconfigured},
		{"nothing", receives(204, ``), "/send", eventBody, nil, 502, misconfigured},
		{"more than a receiver says", receives(200, `"`+strings.Repeat("x", 1<<20)+`"`), "/send", eventBody, nil, 502, misconfigured},
		{"a refusal of the user passes", receives(401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`), "/send", keyBody, nil, 401, invalidAuth},
		{"a conflict that is no replay passes", receives(409, `{"error":"x","code":"PROVISION_ERROR"}`), "/send", keyBody, nil, 409, `{"error":"x","code":"PROVISION_ERROR"}`},
		{"a fault of the receiver passes", receives(500, `{"error":"internal error","code":"INTERNAL_ERROR"}`), "/send", keyBody, nil, 500, `{"error":"internal error","code":"INTERNAL_ERROR"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			edits := []edit{with("Origin", origin)}
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := post(t, newHandler(t, tt.setUp), tt.path, tt.body, edits...)
			check(t, w, tt.status, tt.want)
			checkHeaders(t, w.Header(), "Access-Control-Allow-Origin", origin,
				"Access-Control-Expose-Headers", "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, x-request-id")
		})
	}
}

func TestIdentityTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, setUp{project: transport(hangs)})
		for _, path := range []string{"/signup", "/signin", "/forgot-password"} {
			start := time.Now()
			check(t, post(t, h, path, credentials), 504, lateIdentity)
			if took := time.Since(start); took != 4*time.Second {
				t.Errorf("%s took %v", path, took)
			}
		}
	})
}

func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		h := newHandler(t, setUp{receiver: transport(func(r *http.Request) (*http.Response, error) {
			<-end
			return says(200, received)(r)
		})})
		for range middleware.MaxInFlight {
			go post(t, h, "/send", eventBody)
		}
		synctest.Wait()
		w := post(t, h, "/send", eventBody, with("Origin", origin))
		check(t, w, 503, `{"error":"too many requests at once, try again","code":"SERVICE_UNAVAILABLE"}`)
		checkHeaders(t, w.Header(), "Retry-After", "1", "Access-Control-Allow-Origin", origin)
		health := httptest.NewRecorder()
		h.ServeHTTP(health, httptest.NewRequest(http.MethodGet, "/health", http.NoBody))
		if health.Code != 200 {
			t.Errorf("health meanwhile: %d", health.Code)
		}

		close(end)
		synctest.Wait()
		check(t, post(t, h, "/send", eventBody), 200, received)
	})
}

func TestPathsAndMethods(t *testing.T) {
	const notFound, notAllowed = `{"error":"not found","code":"NOT_FOUND"}`, `{"error":"method not allowed","code":"METHOD_NOT_ALLOWED"}`
	h := newHandler(t, setUp{})
	for _, tt := range []struct {
		method, path string
		status       int
		want, allow  string
	}{
		{"GET", "/", 404, notFound, ""},
		{"POST", "/inbox", 404, notFound, ""},
		{"HEAD", "/nowhere", 404, "", ""},
		{"POST", "/send/", 404, notFound, ""},
		{"POST", "/%2e%2e/send", 404, notFound, ""},
		{"GET", "/send", 405, notAllowed, "OPTIONS, POST"},
		{"HEAD", "/signin", 405, "", "OPTIONS, POST"},
		{"DELETE", "/signup", 405, notAllowed, "OPTIONS, POST"},
		{"PUT", "/forgot-password", 405, notAllowed, "OPTIONS, POST"},
		{"POST", "/health", 405, notAllowed, "OPTIONS, GET, HEAD"},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, http.NoBody))
			check(t, w, tt.status, tt.want)
			checkHeaders(t, w.Header(), "Allow", tt.allow)
		})
	}
}

func TestDisallowedOriginsAreRefused(t *testing.T) {
	h := newHandler(t, setUp{receiver: fails(errors.New("must not be asked"))})
	for _, tt := range []struct{ method, path, origin string }{
		{"POST", "/send", "https://evil.test"},
		{"GET", "/health", "https://evil.test"},
		{"GET", "/nowhere", "https://evil.test"},
		{"POST", "/send", "null"},
		{"POST", "/send", origin + ".evil.test"},
		{"POST", "/send", "http://app.example.com"},
		{"POST", "/send", origin + ":8443"},
	} {
		req := httptest.NewRequest(tt.method, tt.path, strings.NewReader(eventBody))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", tt.origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		check(t, w, 403, `{"error":"the origin is not allowed","code":"FORBIDDEN"}`)
		checkHeaders(t, w.Header(), "Access-Control-Allow-Origin", "")
	}
}
