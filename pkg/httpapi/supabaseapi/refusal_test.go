package supabaseapi_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/token"
)

const (
	invalidCredentials = `{"code":400,"error_code":"invalid_credentials","msg":"Invalid login credentials"}`
	refreshNotFound    = `{"code":400,"error_code":"refresh_token_not_found","msg":"Invalid Refresh Token: Refresh Token Not Found"}`
	invalidEmail       = `{"code":400,"error_code":"validation_failed","msg":"Unable to validate email address: invalid format"}`
	badJSON            = `{"code":400,"error_code":"bad_json","msg":"Could not parse request body as JSON"}`
	badJWT             = `{"code":403,"error_code":"bad_jwt","msg":"invalid JWT"}`
	noAuthorization    = `{"code":401,"error_code":"no_authorization","msg":"This endpoint requires a valid Bearer token"}`
)

func TestRefusals(t *testing.T) {
	const (
		signUp  = "/auth/v1/signup"
		signIn  = "/auth/v1/token?grant_type=password"
		refresh = "/auth/v1/token?grant_type=refresh_token"
	)
	r := newRig(t, ratelimit.Limit{})
	r.mustSignUp(t, email)
	banned := r.mustSignUp(t, "banned@example.com")
	must(t, r.db.SetDisabled(t.Context(), banned.User.ID, noon, entry(audit.Disabled, banned.User.ID)))

	for _, tt := range []struct {
		name, target, body string
		status             int
		want               string
	}{
		{"an existing user", signUp, credentials(email, right), 422, `{"code":422,"error_code":"user_already_exists","msg":"User already registered"}`},
		{"an existing user, written otherwise", signUp, credentials(" READER@example.com", right), 422, `{"code":422,"error_code":"user_already_exists","msg":"User already registered"}`},
		{"a short password", signUp, credentials("a@example.com", "short"), 422, `{"code":422,"error_code":"weak_password","msg":"the password must have at least 8 characters"}`},
		{"a long password", signUp, credentials("a@example.com", strings.Repeat("a", 1025)), 422, `{"code":422,"error_code":"weak_password","msg":"the password must have at most 1024 bytes"}`},
		{"a bad e-mail", signUp, credentials("reader", right), 400, invalidEmail},
		{"no e-mail", signUp, `{"password":"correct horse battery"}`, 400, `{"code":400,"error_code":"validation_failed","msg":"To signup, please provide your email"}`},
		{"no password", signUp, `{"email":"a@example.com"}`, 400, `{"code":400,"error_code":"validation_failed","msg":"Signup requires a valid password"}`},
		{"an empty password", signUp, credentials("a@example.com", ""), 400, `{"code":400,"error_code":"validation_failed","msg":"Signup requires a valid password"}`},
		{"a bad display name", signUp, `{"email":"a@example.com","password":"correct horse battery","data":{"display_name":"a\u0000"}}`, 400, `{"code":400,"error_code":"validation_failed","msg":"display_name must be 1 to 100 characters without control characters"}`},
		{"sign-up with bad JSON", signUp, `{`, 400, badJSON},

		{"a wrong password", signIn, credentials(email, "wrong"), 400, invalidCredentials},
		{"a very long password", signIn, credentials(email, strings.Repeat("a", 60_000)), 400, invalidCredentials},
		{"an unknown user", signIn, credentials("stranger@example.com", right), 400, invalidCredentials},
		{"what is no e-mail", signIn, credentials("reader", right), 400, invalidCredentials},
		{"no credentials", signIn, `{}`, 400, invalidCredentials},
		{"banned, with the wrong password", signIn, credentials("banned@example.com", "wrong"), 400, invalidCredentials},
		{"banned, with the right one", signIn, credentials("banned@example.com", right), 400, `{"code":400,"error_code":"user_banned","msg":"User is banned"}`},
		{"sign-in with bad JSON", signIn, `null`, 400, badJSON},

		{"no refresh token", refresh, `{}`, 400, refreshNotFound},
		{"a forged refresh token", refresh, `{"refresh_token":"forged"}`, 400, refreshNotFound},
		{"the refresh token of a banned user", refresh, `{"refresh_token":"` + banned.Refresh + `"}`, 400, refreshNotFound},
		{"no grant type", "/auth/v1/token", `{}`, 400, `{"code":400,"error_code":"validation_failed","msg":"grant_type must be password or refresh_token"}`},
		{"another grant type", "/auth/v1/token?grant_type=id_token", `{}`, 400, `{"code":400,"error_code":"validation_failed","msg":"grant_type must be password or refresh_token"}`},

		{"recover without e-mail", "/auth/v1/recover", `{}`, 400, invalidEmail},
		{"recover of a stranger", "/auth/v1/recover", `{"email":"stranger@example.com"}`, 200, `{}`},
		{"recover of a reader", "/auth/v1/recover", `{"email":"reader@example.com"}`, 200, `{}`},
		{"logout in an unknown scope", "/auth/v1/logout?scope=galaxy", ``, 400, `{"code":400,"error_code":"validation_failed","msg":"scope must be global, local or others"}`},
		{"logout of nobody", "/auth/v1/logout", ``, 401, noAuthorization},
		{"an unknown path", "/auth/v1/otp", `{}`, 404, `{"code":404,"error_code":"not_found","msg":"not found"}`},
		{"another method", "/auth/v1/user", `{}`, 405, `{"code":405,"error_code":"method_not_allowed","msg":"method not allowed"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, r.do("POST", tt.target, tt.body), tt.status, tt.want)
		})
	}
}

func TestBearerRefusals(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	issue := func(s token.Subject) string {
		raw, _, err := r.tokens.Issue(t.Context(), s)
		must(t, err)
		return "Bearer " + raw.Reveal()
	}
	r.clock.Time = noon.Add(-2 * time.Hour)
	expired := issue(token.Subject{UserID: uuid.NewString(), SessionID: uuid.NewString()})
	r.clock.Time = noon
	g := r.mustSignUp(t, email)
	anon, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "supabase", "role": "anon", "exp": noon.Add(day).Unix()}).
		SignedString([]byte("super-secret-jwt-token-with-at-least-32-characters-long"))
	must(t, err)
	banned := r.mustSignUp(t, "banned@example.com")
	must(t, r.db.SetDisabled(t.Context(), banned.User.ID, noon, entry(audit.Disabled, banned.User.ID)))
	left := r.mustSignUp(t, "left@example.com")
	check(t, r.logout("local", left), 204, "")

	for _, tt := range []struct {
		name    string
		headers []string
		status  int
		want    string
	}{
		{"no bearer", nil, 401, noAuthorization},
		{"an empty one", []string{"Authorization", "Bearer "}, 401, noAuthorization},
		{"another scheme", []string{"Authorization", "Basic cmVhZGVyOnB3"}, 401, noAuthorization},
		{"two of them", []string{"Authorization", g.bearer(), "Authorization", g.bearer()}, 401, noAuthorization},
		{"an apikey alone", []string{"apikey", g.Access}, 401, noAuthorization},
		{"garbage", []string{"Authorization", "Bearer garbage"}, 403, badJWT},
		{"an expired one", []string{"Authorization", expired}, 403, badJWT},
		{"the anon key", []string{"Authorization", "Bearer " + anon}, 403, badJWT},
		{"a refresh token", []string{"Authorization", "Bearer " + g.Refresh}, 403, badJWT},
		{"an unknown user", []string{"Authorization", issue(token.Subject{UserID: uuid.NewString(), SessionID: uuid.NewString()})}, 403, `{"code":403,"error_code":"user_not_found","msg":"User from sub claim in JWT does not exist"}`},
		{"a session that never was", []string{"Authorization", issue(token.Subject{UserID: g.User.ID, SessionID: uuid.NewString()})}, 403, `{"code":403,"error_code":"session_not_found","msg":"Session from session_id claim in JWT does not exist"}`},
		{"signed out", []string{"Authorization", left.bearer()}, 403, `{"code":403,"error_code":"session_not_found","msg":"Session from session_id claim in JWT does not exist"}`},
		{"a banned user", []string{"Authorization", banned.bearer()}, 403, `{"code":403,"error_code":"user_banned","msg":"User is banned"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, r.do("GET", "/auth/v1/user", "", tt.headers...), tt.status, tt.want)
			check(t, r.do("POST", "/auth/v1/logout", "", tt.headers...), tt.status, tt.want)
			w := r.do("POST", "/functions/v1/api-keys-create", `{"name":"laptop","tier":"new"}`, tt.headers...)
			check(t, w, 401, `{"error":"missing or invalid jwt","code":"INVALID_AUTH"}`)
		})
	}
}

func TestRateLimits(t *testing.T) {
	const limited = `{"code":429,"error_code":"over_request_rate_limit","msg":"too many requests"}`
	r := newRig(t, ratelimit.Limit{Count: 2, Period: 10 * time.Minute})
	for _, tt := range []struct{ name, target, malformed, wellFormed string }{
		{"sign-up", "/auth/v1/signup", credentials("reader", right), credentials(email, "short")},
		{"sign-in", "/auth/v1/token?grant_type=password", credentials("", right), credentials(email, "wrong")},
		{"recover", "/auth/v1/recover", `{"email":"reader"}`, `{"email":"reader@example.com"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 5 {
				if w := r.do("POST", tt.target, tt.malformed); w.Code != 400 {
					t.Fatalf("malformed: %d %s", w.Code, w.Body)
				}
			}
			for range 2 {
				if w := r.do("POST", tt.target, tt.wellFormed); w.Code == 429 {
					t.Fatalf("within the limit: %s", w.Body)
				}
			}
			w := r.do("POST", tt.target, tt.wellFormed)
			check(t, w, 429, limited)
			for name, want := range map[string]string{"Retry-After": "300", "RateLimit-Limit": "2", "RateLimit-Remaining": "0", "RateLimit-Reset": "600"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	for range 20 {
		check(t, r.refresh("forged"), 400, refreshNotFound) // refresh has no limit
	}
}

func TestGuessesAreLimited(t *testing.T) {
	auth := ratelimit.Limit{Count: 100, Period: 10 * time.Minute}
	r := newRig(t, auth)
	attempts := ratelimit.NewAttempts(r.limiter, auth)
	client := netip.MustParseAddr("192.0.2.1") // of httptest
	r.mustSignUp(t, email)
	r.mustSignUp(t, "other@example.com")

	for range 5 {
		check(t, r.signIn(email, "wrong"), 400, invalidCredentials)
	}
	mustGrant(t, r.signIn(email, right)) // counts for nothing
	must(t, attempts.Failed(t.Context(), email))
	if _, delay, err := attempts.AdmitSignIn(t.Context(), email, client); err != nil || delay != time.Second {
		t.Errorf("after 6 failures the delay is %v, %v", delay, err)
	}
	for range 4 {
		_, _, err := attempts.AdmitSignIn(t.Context(), email, client)
		must(t, err)
	}
	w := r.signIn(email, right)
	check(t, w, 429, `{"code":429,"error_code":"over_request_rate_limit","msg":"too many requests"}`)
	if got := w.Header().Get("Retry-After"); got != "60" {
		t.Errorf("Retry-After %q", got)
	}
	mustGrant(t, r.signIn("other@example.com", right))
}
