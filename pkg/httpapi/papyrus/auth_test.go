package papyrus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/token"
)

func TestRegister(t *testing.T) {
	const emailTaken = `{"error":{"code":"CONFLICT","message":"An account with this email exists","details":{}}}`
	r := newRig(t)
	r.mustRegister(t, email)
	with := func(changes map[string]any) string {
		body := map[string]any{"email": "new@example.com", "password": right, "display_name": "Zoë"}
		for name, value := range changes {
			if body[name] = value; value == "absent" {
				delete(body, name)
			}
		}
		return object(body)
	}

	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"an existing email", registration(email), 409, emailTaken},
		{"an existing email, written otherwise", registration(" READER@Example.com\n"), 409, emailTaken},
		{"nothing", `{}`, 422, invalid("email", required, "password", required, "display_name", required)},
		{
			"everything null", with(map[string]any{"email": nil, "password": nil, "display_name": nil, "client_type": nil}), 422,
			invalid("email", notString, "password", notString, "display_name", notString, "client_type", "must be mobile, desktop, web or unknown"),
		},
		{
			"everything of another type", with(map[string]any{"email": 1, "password": []int{}, "display_name": true, "client_type": 1.5, "device_label": map[string]any{}}), 422,
			invalid("email", notString, "password", notString, "display_name", notString, "client_type", "must be mobile, desktop, web or unknown", "device_label", notString),
		},
		{
			"everything empty", with(map[string]any{"email": "", "password": "", "display_name": "", "client_type": ""}), 422,
			invalid("email", required, "password", required, "display_name", required, "client_type", "must be mobile, desktop, web or unknown"),
		},
		{
			"several bad fields", with(map[string]any{"email": "reader", "password": "short", "display_name": "a\x00", "client_type": "fridge", "device_label": "a\nb"}), 422,
			invalid("email", notEmail, "password", "the password must have at least 8 characters", "display_name", notDisplayName,
				"client_type", "must be mobile, desktop, web or unknown", "device_label", "must be at most 255 characters without control characters"),
		},
		{"an email with two @", with(map[string]any{"email": "a@b@example.com"}), 422, invalid("email", notEmail)},
		{"an email without a dot in the domain", with(map[string]any{"email": "a@localhost"}), 422, invalid("email", notEmail)},
		{"an email of 255 bytes", with(map[string]any{"email": strings.Repeat("a", 243) + "@example.com"}), 422, invalid("email", notEmail)},
		{"a password of 7 code points", with(map[string]any{"password": "äöüßéèê"}), 422, invalid("password", "the password must have at least 8 characters")},
		{"a password of 1025 bytes", with(map[string]any{"password": strings.Repeat("x", 1025)}), 422, invalid("password", "the password must have at most 1024 bytes")},
		{"a common password", with(map[string]any{"password": "password123"}), 422, invalid("password", "the password is one of the commonest")},
		{"the email as password", with(map[string]any{"password": "New@example.com"}), 422, invalid("password", "the password must not be the email address")},
		{"no display name", with(map[string]any{"display_name": "absent"}), 422, invalid("display_name", required)},
		{"a display name of 101 characters", with(map[string]any{"display_name": strings.Repeat("ë", 101)}), 422, invalid("display_name", notDisplayName)},
		{"a device label of 256 characters", with(map[string]any{"device_label": strings.Repeat("ë", 256)}), 422, invalid("device_label", "must be at most 255 characters without control characters")},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, r.post("/auth/register", tt.body, ""), tt.status, tt.want) })
	}
}

func TestRegisterTakes(t *testing.T) {
	r := newRig(t)
	for i, tt := range []struct{ name, fields, kind, label string }{
		{"no client", ``, "unknown", "Dart/3.5"},
		{"a client without a label", `,"client_type":"desktop"`, "desktop", "Dart/3.5"},
		{"a label that is null", `,"client_type":"web","device_label":null`, "web", "Dart/3.5"},
		{"a label that is empty", `,"client_type":"unknown","device_label":""`, "unknown", "Dart/3.5"},
		{"a label", `,"client_type":"mobile","device_label":"Zoë's phone"`, "mobile", "Zoë's phone"},
		{"unknown fields", `,"is_admin":true,"__proto__":{},"data":[1]`, "unknown", "Dart/3.5"},
		{"fields that are the server's", `,"user_id":"` + uuid.NewString() + `","email_verified":true,"plan":"pro","tier":"pro","disabled_at":"2020-01-01T00:00:00Z","created_at":"2020-01-01T00:00:00Z"`, "unknown", "Dart/3.5"},
		{"a Content-Type of its own", ``, "unknown", "Dart/3.5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := fmt.Sprintf("reader%d@example.com", i)
			body := `{"email":"` + address + `","password":"` + right + `","display_name":"Zoë"` + tt.fields + `}`
			w := r.send("POST", "/v1/auth/register", body, "User-Agent", "Dart/3.5", "Content-Type", "text/plain; charset=latin1")
			g := mustGrant(t, w)
			check(t, w, 201, wantTokens(g, wantUser(g.User.ID, address)))
			stored, err := r.db.UserByID(t.Context(), g.User.ID)
			if err != nil || stored.Plan != "new" || stored.Disabled() {
				t.Errorf("stored %+v, %v", stored, err)
			}
			live, err := r.db.LiveSessions(t.Context(), g.User.ID, noon)
			if err != nil || len(live) != 1 || live[0].ClientType != tt.kind || live[0].DeviceLabel != tt.label {
				t.Errorf("sessions %+v, %v", live, err)
			}
		})
	}
}

func TestTwoRegisterAtOnce(t *testing.T) {
	r := newRig(t)
	codes := make([]int, 2)
	var wg sync.WaitGroup
	for i := range codes {
		wg.Go(func() { codes[i] = r.post("/auth/register", registration(email), "").Code })
	}
	wg.Wait()
	if codes[0]+codes[1] != 201+409 {
		t.Errorf("answered %v, want one 201 and one 409", codes)
	}
}

// TestLoginRefusals wants one answer, headers included, to whoever has not proved the password.
func TestLoginRefusals(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	r.mustDisable(t, r.mustRegister(t, "disabled@example.com").User.ID)
	var first http.Header
	for _, tt := range []struct{ name, email, password string }{
		{"an unknown account", "stranger@example.com", right},
		{"a wrong password", email, wrong},
		{"a wrong password of a disabled account", "disabled@example.com", wrong},
		{"an account without a password", "keeper@example.com", right},
		{"a password too long to be one", email, strings.Repeat("x", 60_000)},
		{"a NUL for a password", email, "\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.send("POST", "/v1/auth/login", credentials(tt.email, tt.password), "X-Request-Id", "one")
			check(t, w, 401, badCredentials)
			if first == nil {
				first = w.Header()
			}
			if diff := cmp.Diff(first, w.Header()); diff != "" {
				t.Errorf("headers (-first +this):\n%s", diff)
			}
		})
	}
	disabled := refused("ACCOUNT_DISABLED", "The account is disabled")
	check(t, r.post("/auth/login", credentials("disabled@example.com", right), ""), 403, disabled)
	check(t, r.post("/auth/login", `{"email":"reader"}`, ""), 422, invalid("email", notEmail, "password", required))
	mustGrant(t, r.post("/auth/login", credentials(" Reader@EXAMPLE.com ", right), ""))
}

// down is a Store that cannot be reached.
type down struct{ account.Store }

func (down) Credentials(context.Context, string) (account.User, string, error) {
	return account.User{}, "", apierror.Unavailable(errors.New("dial tcp 10.0.0.5: refused"))
}

func TestOutageIsNoRefusal(t *testing.T) {
	r := newRig(t).withAccounts(func(c *account.Config) { c.Store = down{c.Store} })
	w := r.post("/auth/login", credentials(email, right), "")
	check(t, w, 503, refused("SERVICE_UNAVAILABLE", "the store is unavailable, try again"))
	if got := w.Header().Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
}

func TestRefreshRefusals(t *testing.T) {
	invalidRefresh := refused("UNAUTHORIZED", "Invalid refresh token")
	r := newRig(t)
	g := r.mustRegister(t, email)
	disabled := r.mustRegister(t, "disabled@example.com")
	r.mustDisable(t, disabled.User.ID)
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"none", `{}`, 422, invalid("refresh_token", required)},
		{"null", `{"refresh_token":null}`, 422, invalid("refresh_token", notString)},
		{"empty", `{"refresh_token":""}`, 422, invalid("refresh_token", required)},
		{"forged", `{"refresh_token":"forged"}`, 401, invalidRefresh},
		{"an access token", `{"refresh_token":"` + g.Access + `"}`, 401, invalidRefresh},
		{"with a NUL", `{"refresh_token":"\u0000"}`, 401, invalidRefresh},
		{"very long", `{"refresh_token":"` + strings.Repeat("a", 60_000) + `"}`, 401, invalidRefresh},
		{"one with another last letter", `{"refresh_token":"` + g.Refresh[:len(g.Refresh)-2] + `AA"}`, 401, invalidRefresh},
		{"of a disabled account", `{"refresh_token":"` + disabled.Refresh + `"}`, 401, invalidRefresh},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, r.post("/auth/refresh", tt.body, ""), tt.status, tt.want) })
	}
}

// TestParallelRefreshes has two tabs, twice, present one token.
func TestParallelRefreshes(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	answers := make([]*httptest.ResponseRecorder, 4)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = r.refresh(g.Refresh) })
	}
	wg.Wait()
	successors := map[string]bool{}
	for _, w := range answers {
		successors[mustGrant(t, w).Refresh] = true
	}
	if len(successors) != 1 {
		t.Fatalf("%d successors, want one", len(successors))
	}

	for successor := range successors {
		if again := mustGrant(t, r.refresh(g.Refresh)); !successors[again.Refresh] { // the answer was lost
			t.Error("the retry has another successor")
		}
		latest := mustGrant(t, r.refresh(successor))
		check(t, r.refresh(g.Refresh), 401, refused("UNAUTHORIZED", "Invalid refresh token"))
		check(t, r.refresh(latest.Refresh), 401, refused("UNAUTHORIZED", "Invalid refresh token")) // reuse ended the session
		check(t, r.call("GET", "/users/me", "", latest.Access), 401, sessionEnded)
	}
}

func TestLogout(t *testing.T) {
	r := newRig(t)
	stranger := r.mustRegister(t, "stranger@example.com")
	for _, tt := range []struct {
		name, endpoint, body string
		status               int
		want                 string
		others               bool // whether the user's other session ends
	}{
		{"with an empty body", "/auth/logout", ``, 204, ``, false},
		{"with white space", "/auth/logout", "\r\n", 422, notObject, false},
		{"with an empty object", "/auth/logout", `{}`, 204, ``, false},
		{"of this device", "/auth/logout", `{"all_devices":false}`, 204, ``, false},
		{"of all devices", "/auth/logout", `{"all_devices":true,"unknown":1}`, 204, ``, true},
		{"logout-all", "/auth/logout-all", ``, 204, ``, true},
		{"logout-all with an object", "/auth/logout-all", `{"all_devices":false}`, 204, ``, true},
		{"with text for a flag", "/auth/logout", `{"all_devices":"true"}`, 422, invalid("all_devices", "must be true or false"), false},
		{"with null for a flag", "/auth/logout", `{"all_devices":null}`, 422, invalid("all_devices", "must be true or false"), false},
		{"with a list", "/auth/logout", `[]`, 422, notObject, false},
		{"logout-all with a list", "/auth/logout-all", `[]`, 422, notObject, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := uuid.NewString() + "@example.com"
			other, g := r.mustRegister(t, address), r.mustLogIn(t, address)
			check(t, r.post(tt.endpoint, tt.body, g.Access), tt.status, tt.want)
			for _, s := range []struct {
				grant
				ended bool
			}{{g, tt.status == 204}, {other, tt.others}, {stranger, false}} {
				w := r.call("GET", "/users/me", "", s.Access)
				if ended := w.Code == 401; ended != s.ended {
					t.Errorf("%s: %d %s", s.User.ID, w.Code, w.Body)
				}
			}
		})
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	first := mustGrant(t, r.send("POST", "/v1/auth/register", registration(email), "User-Agent", "Dart/3.5"))
	r.clock.Time = noon.Add(time.Minute)
	second := mustGrant(t, r.post("/auth/login", `{"email":"reader@example.com","password":"correct horse battery","client_type":"desktop","device_label":"flutter-linux"}`, ""))
	stranger := r.mustRegister(t, "stranger@example.com")
	id := func(g grant) string {
		s, err := r.tokens.Verify(t.Context(), g.Access)
		must(t, err)
		return s.SessionID
	}

	w := r.call("GET", "/auth/sessions", "", second.Access)
	check(t, w, 200, fmt.Sprintf(`{"sessions":[`+
		`{"session_id":%q,"client_type":"desktop","device_label":"flutter-linux","created_at":"2026-03-20T12:01:00Z","last_seen_at":"2026-03-20T12:01:00Z","expires_at":"2026-04-19T12:01:00Z","current":true},`+
		`{"session_id":%q,"client_type":"unknown","device_label":"Dart/3.5","created_at":"2026-03-20T12:00:00Z","last_seen_at":"2026-03-20T12:00:00Z","expires_at":"2026-04-19T12:00:00Z","current":false}]}`,
		id(second), id(first)))
	checkNoStore(t, w)

	gone := refused("NOT_FOUND", "There is no such session")
	for name, other := range map[string]string{
		"another user's": id(stranger), "an unknown one": uuid.NewString(), "no UUID": "1", "an encoded slash": id(first) + "%2F" + id(first),
		"SQL": "'%20OR%201=1", "a NUL": "%00",
	} {
		t.Run(name, func(t *testing.T) { check(t, r.call("DELETE", "/auth/sessions/"+other, "", second.Access), 404, gone) })
	}
	check(t, r.call("DELETE", "/auth/sessions/"+id(first), "", second.Access), 204, ``)
	check(t, r.call("DELETE", "/auth/sessions/"+id(first), "", second.Access), 404, gone)
	check(t, r.call("GET", "/users/me", "", first.Access), 401, sessionEnded)
	check(t, r.refresh(first.Refresh), 401, refused("UNAUTHORIZED", "Invalid refresh token"))
	check(t, r.call("DELETE", "/auth/sessions/"+id(second), "", second.Access), 204, ``)
	check(t, r.call("GET", "/auth/sessions", "", second.Access), 401, sessionEnded)
	mustGrant(t, r.refresh(stranger.Refresh))
}

// TestBearerRefusals wants the code of each refusal from every route that asks for an access token.
func TestBearerRefusals(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	left := r.mustRegister(t, "left@example.com")
	check(t, r.post("/auth/logout", "", left.Access), 204, ``)
	disabled := r.mustRegister(t, "disabled@example.com")
	r.mustDisable(t, disabled.User.ID)
	deleted := r.mustRegister(t, "deleted@example.com")
	check(t, r.call("DELETE", "/users/me", `{"password":"`+right+`"}`, deleted.Access), 204, ``)
	foreign, _, err := r.tokens.Issue(t.Context(), token.Subject{UserID: g.User.ID, SessionID: uuid.NewString()})
	must(t, err)
	r.clock.Time = noon.Add(-2 * time.Hour)
	expired, _, err := r.tokens.Issue(t.Context(), token.Subject{UserID: g.User.ID, SessionID: uuid.NewString()})
	must(t, err)
	r.clock.Time = noon

	open := map[string]bool{
		"/v1/sync/settings": true, "/v1/auth/register": true, "/v1/auth/login": true, "/v1/auth/refresh": true,
		"/v1/auth/oauth/google/start": true, "/v1/auth/oauth/google/callback": true, "/v1/auth/exchange-code": true,
		"/v1/auth/verify-email": true, "/v1/auth/resend-verification": true, "/v1/auth/forgot-password": true,
		"/v1/auth/reset-password": true, "/v1/auth/jwks": true,
	}
	for _, route := range r.routes() {
		if open[route.Path] {
			continue
		}
		for _, tt := range []struct {
			name    string
			headers []string
			want    string
		}{
			{"no token", nil, noToken},
			{"an empty one", []string{"Authorization", "Bearer "}, noToken},
			{"another scheme", []string{"Authorization", "Basic cmVhZGVyOnB3"}, noToken},
			{"two of them", []string{"Authorization", "Bearer " + g.Access, "Authorization", "Bearer " + g.Access}, noToken},
			{"one as apikey", []string{"apikey", g.Access}, noToken},
			{"one in a cookie", []string{"Cookie", "access_token=" + g.Access}, noToken},
			{"garbage", []string{"Authorization", "Bearer garbage"}, badToken},
			{"a refresh token", []string{"Authorization", "Bearer " + g.Refresh}, badToken},
			{"an expired one", []string{"Authorization", "Bearer " + expired.Reveal()}, badToken},
			{"a very long one", []string{"Authorization", "Bearer " + strings.Repeat("a", 100_000)}, badToken},
			{"one of a session that never was", []string{"Authorization", "Bearer " + foreign.Reveal()}, sessionEnded},
			{"one of a session that has ended", []string{"Authorization", "Bearer " + left.Access}, sessionEnded},
			{"one of a disabled account", []string{"Authorization", "Bearer " + disabled.Access}, sessionEnded},
			{"one of a deleted account", []string{"Authorization", "Bearer " + deleted.Access}, sessionEnded},
		} {
			t.Run(tt.name+" for "+route.Method+" "+route.Path, func(t *testing.T) {
				want := tt.want
				if route.Method == http.MethodHead {
					want = ""
				}
				check(t, r.send(route.Method, route.Path, `{}`, tt.headers...), 401, want)
			})
		}
	}
	check(t, r.call("GET", "/users/me", "", g.Access), 200, wantUser(g.User.ID, email))
}
