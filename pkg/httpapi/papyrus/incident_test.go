package papyrus_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
)

// TestServerControlledFieldsHaveNoEffect is named after CVE-2026-27946, in which users told the server that their e-mail was verified,
// and CVE-2025-61928, in which the body named whose key to make. The contract has unknown fields ignored.
func TestServerControlledFieldsHaveNoEffect(t *testing.T) {
	r := newRig(t)
	stranger := r.mustRegister(t, "stranger@example.com")
	extra := map[string]any{
		"user_id": stranger.User.ID, "id": stranger.User.ID, "sub": stranger.User.ID, "owner": stranger.User.ID, "session_id": uuid.NewString(),
		"role": "service_role", "is_admin": true, "plan": "pro", "tier": "pro", "email_verified": true, "primary_email_verified": true,
		"created_at": "2000-01-01T00:00:00Z", "last_login_at": nil, "disabled_at": "2000-01-01T00:00:00Z", "password_hash": "plain",
	}
	with := func(fields map[string]any) string {
		body := map[string]any{}
		for _, from := range []map[string]any{extra, fields} {
			for name, value := range from {
				body[name] = value
			}
		}
		return object(body)
	}

	g := mustGrant(t, r.post("/auth/register", with(map[string]any{"email": email, "password": right, "display_name": "Zoë"}), ""))
	for _, step := range []struct{ method, endpoint, body string }{
		{"POST", "/auth/login", with(map[string]any{"email": email, "password": right})},
		{"POST", "/auth/refresh", with(map[string]any{"refresh_token": g.Refresh})},
		{"PATCH", "/users/me", with(map[string]any{"display_name": "Zoë", "email": "other@example.com"})},
		{"PUT", "/users/me/preferences", with(nil)},
		{"POST", "/users/me/change-password", with(map[string]any{"current_password": right, "new_password": wrong})},
		{"POST", "/auth/logout", with(map[string]any{"all_devices": true})},
	} {
		if w := r.call(step.method, step.endpoint, step.body, g.Access); w.Code >= 300 {
			t.Fatalf("%s: %d %s", step.endpoint, w.Code, w.Body)
		}
		for id, address := range map[string]string{g.User.ID: email, stranger.User.ID: "stranger@example.com"} {
			got, err := r.db.UserByID(t.Context(), id)
			must(t, err)
			want := account.User{ID: id, Email: address, DisplayName: "Zoë", Plan: "new", CreatedAt: noon, LastLoginAt: noon}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", step.endpoint, address, diff)
			}
		}
	}
	check(t, r.call("GET", "/users/me", "", stranger.Access), 200, wantUser(stranger.User.ID, "stranger@example.com")) // still signed in
	r.mustLogIn(t, "stranger@example.com")                                                                             // by the same password
}

// TestUploadsDoNotNameTheOwner is named after CVE-2025-61928 too: a row is that of whoever uploads it, whatever owner it names.
func TestUploadsDoNotNameTheOwner(t *testing.T) {
	r := newRig(t)
	stranger, g := r.mustRegister(t, "stranger@example.com"), r.mustRegister(t, email)
	check(t, r.upload(g, operation("1", "PUT", bookID, `{"title":"Book","owner_user_id":"`+stranger.User.ID+`"}`)), 200, `{"applied_count":1}`)
	check(t, r.upload(g, operation("2", "PATCH", bookID, `{"rating":5,"owner_user_id":"`+stranger.User.ID+`"}`)), 200, `{"applied_count":1}`)
	if mine := r.books(t, g); len(mine) != 1 || mine[0]["owner_user_id"] != g.User.ID {
		t.Errorf("the books of who uploaded: %v", mine)
	}
	if theirs := r.books(t, stranger); len(theirs) != 0 {
		t.Errorf("the books of the owner that was named: %v", theirs)
	}
}

// TestGraceAnswersCarryTheCurrentToken is named after a grace window whose answers left the client with a token that was used up, so
// that it was signed out later, and another whose answers began a second chain.
func TestGraceAnswersCarryTheCurrentToken(t *testing.T) {
	r := newRig(t)
	first := r.mustRegister(t, email).Refresh
	second := mustGrant(t, r.refresh(first)).Refresh
	r.clock.Time = noon.Add(29 * day) // a lost answer has no time to be asked for again
	for range 3 {
		again := mustGrant(t, r.refresh(first))
		if again.Refresh != second {
			t.Fatal("the answer carries another token than the current one")
		}
		if w := r.call("GET", "/users/me", "", again.Access); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	third := mustGrant(t, r.refresh(second)).Refresh
	if again := mustGrant(t, r.refresh(second)); again.Refresh != third || third == second {
		t.Error("the chain does not go on")
	}
	mustGrant(t, r.refresh(third))
}

// TestRevokedIsRevokedEverywhere is named after CVE-2026-8922, in which a revocation held on one of two ways in. It ends a session
// in every way there is, and then tries every route with what that session had.
func TestRevokedIsRevokedEverywhere(t *testing.T) {
	r := newRig(t)
	type end func(t *testing.T, r rig, owner, thief grant)
	asks := func(method, endpoint, body string) end { // of the owner
		return func(t *testing.T, r rig, owner, _ grant) {
			t.Helper()
			if w := r.call(method, endpoint, body, owner.Access); w.Code >= 300 {
				t.Fatalf("%s: %d %s", endpoint, w.Code, w.Body)
			}
		}
	}
	for _, tt := range []struct {
		name string
		end  end
	}{
		{"its own logout", func(t *testing.T, r rig, owner, thief grant) {
			t.Helper()
			asks("POST", "/auth/logout", "")(t, r, thief, owner)
		}},
		{"a logout of all devices", asks("POST", "/auth/logout", `{"all_devices":true}`)},
		{"logout-all", asks("POST", "/auth/logout-all", "")},
		{"the list of sessions", func(t *testing.T, r rig, owner, thief grant) {
			t.Helper()
			subject, err := r.tokens.Verify(t.Context(), thief.Access)
			must(t, err)
			asks("DELETE", "/auth/sessions/"+subject.SessionID, "")(t, r, owner, thief)
		}},
		{"another password", asks("POST", "/users/me/change-password", `{"current_password":"`+right+`","new_password":"`+wrong+`"}`)},
		{"a reset of the password", func(t *testing.T, r rig, owner, thief grant) {
			t.Helper()
			token := r.mustToken(t, mail.KindResetPassword)
			asks("POST", "/auth/reset-password", `{"token":"`+token+`","password":"`+wrong+`"}`)(t, r, owner, thief)
		}},
		{"an operator who disables the account", func(t *testing.T, r rig, owner, _ grant) { t.Helper(); r.mustDisable(t, owner.User.ID) }},
		{"the end of the account", asks("DELETE", "/users/me", `{"password":"`+right+`"}`)},
		{"the reuse of a refresh token", func(t *testing.T, r rig, _, thief grant) {
			t.Helper()
			mustGrant(t, r.refresh(mustGrant(t, r.refresh(thief.Refresh)).Refresh))
			check(t, r.refresh(thief.Refresh), 401, badRefresh)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			owner, thief := r.mustRegister(t, email), r.mustLogIn(t, email)
			defer func() { // for the next; one of the ways does it itself
				_ = r.db.DeleteUser(t.Context(), owner.User.ID, audit.New(t.Context(), noon, audit.Deleted, owner.User.ID))
			}()
			routes := r.closedRoutes(t, thief)
			tt.end(t, r, owner, thief)
			check(t, r.refresh(thief.Refresh), 401, badRefresh)
			for _, route := range routes {
				if w := r.send(route.Method, route.Path, `{}`, "Authorization", "Bearer "+thief.Access); w.Code != http.StatusUnauthorized {
					t.Errorf("%s %s: %d %s", route.Method, route.Path, w.Code, w.Body)
				}
			}
		})
	}
}

var badRefresh = refused("UNAUTHORIZED", "Invalid refresh token")

// closedRoutes are the routes that want an access token. The token of by, which has none, works at the first of them.
func (r rig) closedRoutes(t *testing.T, by grant) (closed []*echo.Route) {
	t.Helper()
	if w := r.call("GET", "/users/me", "", by.Access); w.Code != http.StatusOK { // and is remembered
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, route := range r.routes() {
		if w := r.send(route.Method, route.Path, `{}`); w.Code == http.StatusUnauthorized {
			closed = append(closed, route)
		}
	}
	if len(closed) < 20 {
		t.Fatalf("only %d routes want a token", len(closed))
	}
	return closed
}

// TestEveryFaultOfACodeIsEnough is named after CVE-2026-28513, in which AND was written where OR was meant: a code was refused only
// if it was both expired and another client's. It tries all combinations of faults.
func TestEveryFaultOfACodeIsEnough(t *testing.T) {
	const used, expired, anotherVerifier, toLink, combinations = 1, 2, 4, 8, 16
	r := newRig(t, withProvider(t))
	g := r.mustRegister(t, email)
	for faults := range combinations {
		has := func(fault int) bool { return faults&fault != 0 }
		var code string
		if has(toLink) {
			code = r.mustBoundLinkCode(t, g)
		} else {
			code = mustCode(t, r.back(r.mustStart(t, "redirect_uri="+appRedirect+"&code_challenge="+challenge), zoe))
		}
		body := exchange(code, verifier)
		if has(used) {
			r.post("/auth/exchange-code", body, "")
		}
		if has(anotherVerifier) {
			body = exchange(code, strings.Repeat("a", 43))
		}
		if has(expired) {
			r.clock.Time = noon.Add(time.Minute)
		}
		want := http.StatusUnauthorized
		if faults == 0 {
			want = http.StatusOK
		}
		if w := r.post("/auth/exchange-code", body, ""); w.Code != want {
			t.Errorf("used %t, expired %t, another verifier %t, to link %t: %d %s, want %d",
				has(used), has(expired), has(anotherVerifier), has(toLink), w.Code, w.Body, want)
		}
		r.clock.Time = noon
	}
}

// mustBoundLinkCode returns a code with a challenge with which the user of g may link zoe.
func (r rig) mustBoundLinkCode(t *testing.T, g grant) string {
	t.Helper()
	var started struct {
		URL string `json:"authorization_url"`
	}
	w := r.post("/auth/link/google/start", `{"redirect_uri":"`+appRedirect+`","code_challenge":"`+challenge+`"}`, g.Access)
	must(t, json.Unmarshal(w.Body.Bytes(), &started))
	return mustCode(t, r.back(newVisit(t, started.URL), zoe))
}
