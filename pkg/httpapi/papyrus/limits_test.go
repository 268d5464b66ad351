package papyrus_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

func TestRateLimits(t *testing.T) {
	r := newRig(t, withProvider(t))
	g := r.mustRegister(t, email)
	r = r.with(limited(2))
	for _, tt := range []struct {
		name, method, endpoint, malformed, wellFormed string
		status                                        int // of what is malformed
	}{
		{"sign-up", "POST", "/auth/register", registration("reader"), registration(email), 422},
		{"sign-in", "POST", "/auth/login", credentials("reader", right), credentials(email, wrong), 422},
		{"start of a sign-in", "GET", "/auth/oauth/google/start?redirect_uri=a&redirect_uri=a", "", "", 400},
		{"exchange of a code", "POST", "/auth/exchange-code", `{"code":""}`, `{"code":"unknown"}`, 422},
		{"verification", "POST", "/auth/verify-email", `{"token":1}`, `{"token":"unknown"}`, 422},
		{"another verification mail", "POST", "/auth/resend-verification", `{"email":"reader"}`, `{"email":"reader@example.com"}`, 422},
		{"forgotten password", "POST", "/auth/forgot-password", `{"email":"reader"}`, `{"email":"reader@example.com"}`, 422},
		{"reset of a password", "POST", "/auth/reset-password", `{"token":"unknown"}`, `{"token":"unknown","password":"another good one"}`, 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 5 {
				if w := r.call(tt.method, tt.endpoint, tt.malformed, ""); w.Code != tt.status {
					t.Fatalf("malformed: %d %s", w.Code, w.Body)
				}
			}
			endpoint := tt.endpoint
			if tt.method == "GET" {
				endpoint = "/auth/oauth/google/start?redirect_uri=" + appRedirect
			}
			for range 2 {
				if w := r.call(tt.method, endpoint, tt.wellFormed, ""); w.Code == 429 {
					t.Fatalf("within the limit: %s", w.Body)
				}
			}
			w := r.call(tt.method, endpoint, tt.wellFormed, "")
			check(t, w, 429, rateLimited)
			for name, want := range map[string]string{"Retry-After": "300", "RateLimit-Limit": "2", "RateLimit-Remaining": "0", "RateLimit-Reset": "600"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	for range 20 { // what has no limit
		g = mustGrant(t, r.refresh(g.Refresh))
		if w := r.post("/auth/powersync-token", ``, g.Access); w.Code != 200 {
			t.Fatalf("powersync-token: %d %s", w.Code, w.Body)
		}
		for _, path := range []string{"/health", "/v1/auth/jwks", "/v1/sync/settings"} {
			if w := r.do("GET", path); w.Code != 200 {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
	check(t, r.post("/auth/logout", ``, g.Access), 204, ``)
}

// TestGuessesAreLimited counts guesses with a stolen access token together with those at the login.
func TestGuessesAreLimited(t *testing.T) {
	r := newRig(t, limited(100))
	g := r.mustRegister(t, email)
	other := r.mustRegister(t, "other@example.com")
	attempts := ratelimit.NewAttempts(r.config.Limiter, r.config.Auth)
	client := netip.MustParseAddr("192.0.2.1") // of httptest

	check(t, r.post("/auth/login", credentials(email, wrong), ""), 401, badCredentials)
	check(t, r.post("/users/me/change-password", object(map[string]any{"current_password": wrong, "new_password": "another good one"}), g.Access), 400, wrongPassword)
	check(t, r.call("DELETE", "/users/me", `{"password":"`+wrong+`"}`, g.Access), 400, wrongPassword)
	mustGrant(t, r.post("/auth/login", credentials(email, right), "")) // counts for nothing
	for range 7 {
		_, _, err := attempts.AdmitSignIn(t.Context(), email, client)
		must(t, err)
	}

	for name, w := range map[string]int{
		"login":           r.post("/auth/login", credentials(email, right), "").Code,
		"change-password": r.post("/users/me/change-password", object(map[string]any{"current_password": right, "new_password": "another good one"}), g.Access).Code,
		"deletion":        r.call("DELETE", "/users/me", `{"password":"`+right+`"}`, g.Access).Code,
	} {
		if w != 429 {
			t.Errorf("%s: %d, want 429", name, w)
		}
	}
	check(t, r.call("DELETE", "/users/me", `{"password":"`+right+`"}`, other.Access), 204, ``)
	r.clock.Time = noon.Add(10 * time.Minute)
	mustGrant(t, r.post("/auth/login", credentials(email, right), ""))
}

func TestNoLimits(t *testing.T) {
	r := newRig(t, func(c *papyrus.Config) { c.Auth = ratelimit.Limit{} })
	r.mustRegister(t, email)
	for range 30 {
		check(t, r.post("/auth/login", credentials(email, wrong), ""), 401, badCredentials)
	}
}
