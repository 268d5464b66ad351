package supabase_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/requestid"
	"github.com/provisioner/provisioner/pkg/secret"
)

// leak stands in the provider's texts, which no client may see.
const leak = "relation auth.users at db.internal"

func TestSignUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		want provision.Grant
	}{
		{"a session", sessionJSON, provision.Grant{
			UserID: userID, Email: "reader@example.com", JWT: secret.New("a.b.c"), RefreshToken: secret.New("r1"), ExpiresIn: 3600,
		}},
		{"the user alone, who has to confirm the e-mail", userJSON, provision.Grant{UserID: userID, Email: "reader@example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newClient(t, answers(http.StatusOK, tt.body)).SignUp(t.Context(), someone)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(reveal(tt.want), reveal(got)); diff != "" {
				t.Errorf("SignUp() (-want +got):\n%s", diff)
			}
			if got.ConfirmationRequired() != (tt.body == userJSON) {
				t.Errorf("ConfirmationRequired() = %t", got.ConfirmationRequired())
			}
		})
	}
}

func TestSignInWithoutATokenIsNoAnswer(t *testing.T) {
	_, err := newClient(t, answers(http.StatusOK, userJSON)).SignIn(t.Context(), someone)
	if apierror.From(err).Code != provision.CodeIdentityUnavailable {
		t.Errorf("SignIn() = %v, want IDENTITY_UNAVAILABLE", err)
	}
}

// reveal makes a grant comparable.
func reveal(g provision.Grant) map[string]any {
	return map[string]any{
		"user": g.UserID, "email": g.Email, "jwt": g.JWT.Reveal(), "refresh": g.RefreshToken.Reveal(), "expires": g.ExpiresIn,
	}
}

// seen is what the provider got of a request.
type seen struct {
	Method, URI, APIKey, Authorization, ContentType, IdempotencyKey, RequestID string
	Body                                                                       string
}

func TestRequestsAreThoseOfTheAPI(t *testing.T) {
	var got seen
	client := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		h := r.Header
		got = seen{r.Method, r.RequestURI, h.Get("apikey"), h.Get("Authorization"), h.Get("Content-Type"), h.Get("Idempotency-Key"), h.Get("X-Request-Id"), string(body)}
		answers(http.StatusOK, sessionJSON[:len(sessionJSON)-1]+`,"id":"`+userID+`","token":"obtk_1"}`)(w, r)
	}))
	ctx := requestid.With(t.Context(), "id-1")
	const signIn = `{"email":"reader@example.com","password":"a long password"}`
	for _, tt := range []struct {
		name string
		call func() error
		want seen
	}{
		{
			"sign-up", func() error { _, err := client.SignUp(ctx, someone); return err },
			seen{"POST", "/auth/v1/signup", "anon", "Bearer anon", "application/json", "", "id-1", signIn},
		},
		{
			"sign-in", func() error { _, err := client.SignIn(ctx, someone); return err },
			seen{"POST", "/auth/v1/token?grant_type=password", "anon", "Bearer anon", "application/json", "", "id-1", signIn},
		},
		{
			"recover", func() error { return client.Recover(ctx, "reader@example.com") },
			seen{"POST", "/auth/v1/recover", "anon", "Bearer anon", "application/json", "", "id-1", `{"email":"reader@example.com"}`},
		},
		{
			"user", func() error { _, err := client.Validate(ctx, "a.b.c"); return err },
			seen{"GET", "/auth/v1/user", "anon", "Bearer a.b.c", "", "", "id-1", ""},
		},
		{"key", func() error {
			_, err := client.CreateKey(ctx, provision.KeyRequest{JWT: "a.b.c", IdempotencyKey: "k1", Name: "n", Tier: "new"})
			return err
		}, seen{"POST", "/functions/v1/api-keys-create", "anon", "Bearer a.b.c", "application/json", "k1", "id-1", `{"name":"n","tier":"new"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// refusals are answers of Supabase Auth, and what they mean.
var refusals = []struct {
	name   string
	status int
	body   string
	want   *apierror.Error
}{
	{"existing user", 422, `{"code":422,"error_code":"user_already_exists","msg":"User already registered"}`, provision.ErrEmailTaken},
	{"existing e-mail", 422, `{"code":422,"error_code":"email_exists","msg":"` + leak + `"}`, provision.ErrEmailTaken},
	{
		"weak password", 422, `{"code":422,"error_code":"weak_password","msg":"Password should be at least 6 characters.","weak_password":{"reasons":["length"]}}`,
		apierror.New(400, provision.CodeWeakPassword, "Password should be at least 6 characters."),
	},
	{"weak password, told at length", 422, `{"code":422,"error_code":"weak_password","msg":"` + strings.Repeat("x", 201) + `"}`, provision.ErrWeakPassword},
	{"weak password, told with a line break", 422, `{"code":422,"error_code":"weak_password","msg":"a\nb"}`, provision.ErrWeakPassword},
	{"bad e-mail or no password", 400, `{"code":400,"error_code":"validation_failed","msg":"` + leak + `"}`, provision.ErrIdentityRefused},
	{"bad JSON", 400, `{"code":400,"error_code":"bad_json","msg":"` + leak + `"}`, provision.ErrIdentityRefused},
	{"wrong password or unknown user", 400, `{"code":400,"error_code":"invalid_credentials","msg":"Invalid login credentials"}`, provision.ErrInvalidCredentials},
	{"banned", 400, `{"code":400,"error_code":"user_banned","msg":"User is banned"}`, provision.ErrInvalidCredentials},
	{"e-mail not confirmed", 400, `{"code":400,"error_code":"email_not_confirmed","msg":"Email not confirmed"}`, provision.ErrEmailNotConfirmed},
	{"sign-up disabled", 422, `{"code":422,"error_code":"signup_disabled","msg":"Signups not allowed for this instance"}`, provision.ErrSignupDisabled},
	{"e-mail sign-up disabled", 400, `{"code":400,"error_code":"email_provider_disabled","msg":"x"}`, provision.ErrSignupDisabled},
	{"wrong anon key, of the gateway", 401, `{"message":"Invalid API key","hint":"Double check your Supabase anon key"}`, provision.ErrIdentityRefused},
	{"the shape of 2023", 400, `{"error":"invalid_grant","error_description":"Invalid login credentials"}`, provision.ErrInvalidCredentials},
	{"the shape of API version 2024-01-01", 400, `{"code":"invalid_credentials","message":"Invalid login credentials"}`, provision.ErrInvalidCredentials},
	{"the shape without error_code", 422, `{"code":422,"msg":"User already registered"}`, provision.ErrIdentityRefused},
	{"a 4xx that is no JSON", 404, `<html>` + leak, provision.ErrIdentityRefused},
	{"its rate limit", 429, `{"code":429,"error_code":"over_request_rate_limit","msg":"x"}`, provision.ErrRateLimited},
	{"a 5xx", 500, `{"code":500,"error_code":"unexpected_failure","msg":"` + leak + `"}`, provision.ErrIdentityUnavailable},
	{"a gateway without upstream", 503, `<html>` + leak, provision.ErrIdentityUnavailable},
	{"a 200 that is no JSON", 200, `<html>` + leak, provision.ErrIdentityUnavailable},
	{"a 200 without user", 200, `{}`, provision.ErrIdentityUnavailable},
	{"a 200 of another type", 200, `[]`, provision.ErrIdentityUnavailable},
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, answers(tt.status, tt.body))
			for call, do := range map[string]func(context.Context, provision.Credentials) (provision.Grant, error){
				"SignUp": client.SignUp, "SignIn": client.SignIn,
			} {
				_, err := do(t.Context(), someone)
				e := apierror.From(err)
				if !e.Is(tt.want) || strings.Contains(e.Message, leak) {
					t.Errorf("%s: %v, want %v", call, err, tt.want)
				}
			}
		})
	}
}

func TestRateLimitOfTheProviderIsPassedOn(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, "": 10 * time.Second, "-1": 10 * time.Second, "Fri, 20 Mar 2026 12:00:00 GMT": 10 * time.Second, "3601": 10 * time.Second,
	} {
		client := newClient(t, answers(http.StatusTooManyRequests, `{}`, "Retry-After", header))
		_, err := client.SignIn(t.Context(), someone)
		if e := apierror.From(err); e.Code != apierror.RateLimited || e.RetryAfter != want {
			t.Errorf("Retry-After %q: %v after %v, want RATE_LIMITED after %v", header, err, e.RetryAfter, want)
		}
	}
}

// TestRecoverDoesNotTellOfAccounts holds that refusals which only an account gets, or only its absence, are no different from
// success.
func TestRecoverDoesNotTellOfAccounts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   apierror.Code
	}{
		{"success", 200, `{}`, ""},
		{"a mail was sent a moment ago", 429, `{"code":429,"error_code":"over_email_send_rate_limit","msg":"x"}`, ""},
		{"unknown user", 400, `{"code":400,"error_code":"user_not_found","msg":"x"}`, ""},
		{"an address that the provider does not write to", 400, `{"code":400,"error_code":"email_address_not_authorized","msg":"x"}`, ""},
		{"too many requests of this address", 429, `{"code":429,"error_code":"over_request_rate_limit","msg":"x"}`, apierror.RateLimited},
		{"a captcha", 400, `{"code":400,"error_code":"captcha_failed","msg":"x"}`, provision.CodeIdentityRefused},
		{"down", 500, `{}`, provision.CodeIdentityUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := newClient(t, answers(tt.status, tt.body)).Recover(t.Context(), "reader@example.com"); code(err) != tt.want {
				t.Errorf("Recover() = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   apierror.Code
	}{
		{"a user", 200, userJSON, ""},
		{"no bearer", 401, `{"code":401,"error_code":"no_authorization","msg":"This endpoint requires a valid Bearer token"}`, provision.CodeInvalidAuth},
		{"garbage, expired, or the anon key", 403, `{"code":403,"error_code":"bad_jwt","msg":"invalid JWT"}`, provision.CodeInvalidAuth},
		{"unknown user", 403, `{"code":403,"error_code":"user_not_found","msg":"x"}`, provision.CodeInvalidAuth},
		{"signed out", 403, `{"code":403,"error_code":"session_not_found","msg":"x"}`, provision.CodeInvalidAuth},
		{"a 401 in the old shape", 401, `{"code":401,"msg":"invalid JWT: token is expired"}`, provision.CodeInvalidAuth},
		{"a 401 of the gateway", 401, `<html>`, provision.CodeInvalidAuth},
		{"too many", 429, `{}`, provision.CodeIdentityUnavailable},
		{"down", 502, `<html>`, provision.CodeIdentityUnavailable},
		{"a redirect", 302, ``, provision.CodeIdentityUnavailable},
		{"a user without id", 200, `{"email":"reader@example.com"}`, provision.CodeIdentityUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who, err := newClient(t, answers(tt.status, tt.body)).Validate(t.Context(), "a.b.c")
			if code(err) != tt.want || err == nil && who.UserID != userID {
				t.Errorf("Validate() = %v, %v, want %q", who, err, tt.want)
			}
		})
	}
}
