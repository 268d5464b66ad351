package papyrus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/session"
)

const notAvatar = "must be an https URL of at most 2048 characters, or null"

func TestMe(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	w := r.call("GET", "/users/me", "", g.Access)
	check(t, w, 200, wantUser(g.User.ID, email))
	checkNoStore(t, w)
	check(t, r.call("HEAD", "/users/me", "", g.Access), 200, ``)
}

func TestUpdateMe(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	user := func(name, avatar string) string {
		return strings.NewReplacer(`"Zoë"`, name, `"avatar_url":null`, `"avatar_url":`+avatar).Replace(wantUser(g.User.ID, email))
	}
	long := "https://example.com/" + strings.Repeat("a", 2048-len("https://example.com/"))
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"nothing", `{}`, 200, user(`"Zoë"`, `null`)},
		{"a name", `{"display_name":"Zo\u00eb Reader"}`, 200, user(`"Zoë Reader"`, `null`)},
		{"an avatar", `{"avatar_url":"https://example.com/zoe.png"}`, 200, user(`"Zoë Reader"`, `"https://example.com/zoe.png"`)},
		{"a name alone", `{"display_name":"Z"}`, 200, user(`"Z"`, `"https://example.com/zoe.png"`)},
		{"no avatar, and a name", `{"avatar_url":null,"display_name":"Zoë"}`, 200, user(`"Zoë"`, `null`)},
		{"an avatar of 2048 characters", `{"avatar_url":"` + long + `"}`, 200, user(`"Zoë"`, `"`+long+`"`)},
		{"what the server keeps", `{"avatar_url":null,"user_id":"1","email":"a@example.com","email_verified":true,"plan":"pro","last_login_at":null,"is_admin":true}`, 200, user(`"Zoë"`, `null`)},

		{"a name that is null", `{"display_name":null}`, 422, invalid("display_name", notString)},
		{"an empty name", `{"display_name":""}`, 422, invalid("display_name", required)},
		{"a name with a NUL", `{"display_name":"a\u0000"}`, 422, invalid("display_name", notDisplayName)},
		{"two bad fields", `{"display_name":1,"avatar_url":1}`, 422, invalid("display_name", notString, "avatar_url", notAvatar)},
		{"an empty avatar", `{"avatar_url":""}`, 422, invalid("avatar_url", notAvatar)},
		{"an avatar over http", `{"avatar_url":"http://example.com/zoe.png"}`, 422, invalid("avatar_url", notAvatar)},
		{"an avatar that is a script", `{"avatar_url":"javascript:alert(1)"}`, 422, invalid("avatar_url", notAvatar)},
		{"an avatar of a user", `{"avatar_url":"https://good@evil.example.com/"}`, 422, invalid("avatar_url", notAvatar)},
		{"an avatar of 2049 characters", `{"avatar_url":"` + long + `a"}`, 422, invalid("avatar_url", notAvatar)},
		{"no object", `null`, 422, notObject},
		{"nothing at all", ``, 422, notObject},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, r.call("PATCH", "/users/me", tt.body, g.Access), tt.status, tt.want) })
	}
	check(t, r.call("GET", "/users/me", "", g.Access), 200, wantUser(g.User.ID, email))
}

func TestDeleteMe(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	for name, body := range map[string]string{
		"a wrong one": `{"password":"` + wrong + `"}`, "none": `{}`, "no body": ``, "null": `{"password":null}`, "an empty one": `{"password":""}`,
	} {
		t.Run(name, func(t *testing.T) { check(t, r.call("DELETE", "/users/me", body, g.Access), 400, wrongPassword) })
	}
	check(t, r.call("DELETE", "/users/me", `{"password":1}`, g.Access), 422, invalid("password", notString))
	check(t, r.call("DELETE", "/users/me", `{"password":"`+right+`"}`, g.Access), 204, ``)
	check(t, r.call("GET", "/users/me", ``, g.Access), 401, sessionEnded)
	check(t, r.post("/auth/login", credentials(email, right), ""), 401, badCredentials)
	r.mustRegister(t, email) // the address is free again
}

// mustSignIn signs in to the account without a password.
func (r rig) mustSignIn(t *testing.T) string {
	t.Helper()
	s, err := session.NewKeeper(session.Config{Store: r.db, Key: refreshKey, Sliding: 30 * day, Feed: r.db, Now: r.clock.now})
	must(t, err)
	begun, refreshToken := s.New(r.user, session.Client{Type: "web"})
	must(t, r.db.SignIn(t.Context(), begun, account.Proof{}, audit.New(t.Context(), r.clock.Time, audit.SignedIn, r.user)))
	return mustGrant(t, r.refresh(refreshToken.Reveal())).Access
}

func TestDeleteMeWithoutPassword(t *testing.T) {
	r := newRig(t)
	stale := r.mustSignIn(t)
	r.clock.Time = noon.Add(5*time.Minute + time.Second)
	again := refused("FORBIDDEN", "Sign in again: the last sign-in must be at most 5 minutes ago")
	check(t, r.call("DELETE", "/users/me", ``, stale), 403, again)
	check(t, r.call("DELETE", "/users/me", `{"password":"`+right+`"}`, stale), 403, again)
	check(t, r.call("DELETE", "/users/me", ``, r.mustSignIn(t)), 204, ``)
	check(t, r.call("GET", "/users/me", ``, stale), 401, sessionEnded)
}

func TestChangePassword(t *testing.T) {
	const endpoint = "/users/me/change-password"
	r := newRig(t)
	other, g := r.mustRegister(t, email), r.mustLogIn(t, email)
	change := func(current, replacement any) string {
		return object(map[string]any{"current_password": current, "new_password": replacement})
	}
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a wrong current password", change(wrong, "another good one"), 400, wrongPassword},
		{"nothing", `{}`, 422, invalid("current_password", required, "new_password", required)},
		{"nulls", change(nil, nil), 422, invalid("current_password", notString, "new_password", notString)},
		{"a short one", change(right, "short"), 422, invalid("new_password", "the password must have at least 8 characters")},
		{"a short one, and a wrong current one", change(wrong, "short"), 422, invalid("new_password", "the password must have at least 8 characters")},
		{"the email", change(right, email), 422, invalid("new_password", "the password must not be the email address")},
		{"a good one", change(right, "another good one"), 200, `{"message":"The password is changed"}`},
		{"the old one again", change(right, "another good one"), 400, wrongPassword},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, r.post(endpoint, tt.body, g.Access), tt.status, tt.want) })
	}
	check(t, r.call("GET", "/users/me", ``, g.Access), 200, wantUser(g.User.ID, email))
	check(t, r.call("GET", "/users/me", ``, other.Access), 401, sessionEnded)
	check(t, r.refresh(other.Refresh), 401, refused("UNAUTHORIZED", "Invalid refresh token"))
	check(t, r.post("/auth/login", credentials(email, right), ""), 401, badCredentials)
	mustGrant(t, r.post("/auth/login", credentials(email, "another good one"), ""))
	check(t, r.post(endpoint, change(right, "another good one"), r.mustSignIn(t)), 400, wrongPassword) // there is none
}

// changedMeanwhile is a Store in which another request was faster.
type changedMeanwhile struct{ account.Store }

func (changedMeanwhile) ChangePassword(_ context.Context, _, _, _, _ string, _ audit.Entry) error {
	return account.ErrChanged
}

func TestChangePasswordTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	r = r.withAccounts(func(c *account.Config) { c.Store = changedMeanwhile{c.Store} })
	w := r.post("/users/me/change-password", object(map[string]any{"current_password": right, "new_password": "another good one"}), g.Access)
	check(t, w, 409, refused("CONFLICT", "The password was changed meanwhile"))
}

func TestPreferences(t *testing.T) {
	const endpoint = "/users/me/preferences"
	tooMuch := `{"error":{"code":"VALIDATION_ERROR","message":"Preferences must be a JSON object of at most 16 KiB","details":{"fields":[]}}}`
	r := newRig(t)
	g := r.mustRegister(t, email)
	check(t, r.call("GET", endpoint, ``, g.Access), 200, `{}`)
	full := `{"a":"` + strings.Repeat("a", 16<<10-len(`{"a":""}`)) + `"}`

	kept := `{}`
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"an object", `{"theme": "dark", "é": [1.50, null, "\u0000"], "user_id": "x"}`, 200},
		{"another in its place", `{"font_size":12}`, 200},
		{"16 KiB", full, 200},
		{"a byte more", full + " ", 422},
		{"a list", `[]`, 422},
		{"null", `null`, 422},
		{"nothing", ``, 422},
		{"a name twice", `{"a":1,"a":2}`, 422},
		{"broken UTF-8", "{\"a\":\"\xff\"}", 422},
		{"an empty object", `{}`, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tooMuch
			if tt.status == 200 {
				kept, want = tt.body, tt.body
			}
			check(t, r.call("PUT", endpoint, tt.body, g.Access), tt.status, want)
			w := r.call("GET", endpoint, ``, g.Access)
			check(t, w, 200, kept)
			checkNoStore(t, w)
		})
	}
	check(t, r.call("HEAD", endpoint, ``, g.Access), 200, ``)
	check(t, r.call("GET", endpoint, ``, r.mustRegister(t, "other@example.com").Access), 200, `{}`)
}

func TestSyncSettings(t *testing.T) {
	r := newRig(t)
	check(t, r.do("GET", "/v1/sync/settings"), 200, fmt.Sprintf(`{"data_sync_url":%q,"file_storage":{"supported":false}}`, syncURL))
}

func TestPrefix(t *testing.T) {
	r := newRig(t).with(prefixed("/api/v2"))
	g := mustGrant(t, r.send("POST", "/api/v2/auth/register", registration(email)))
	check(t, r.do("GET", "/api/v2/users/me", "Authorization", "Bearer "+g.Access), 200, wantUser(g.User.ID, email))
	check(t, r.do("GET", "/api/v2/nothing"), 404, refused("NOT_FOUND", "not found"))
	check(t, r.do("GET", "/v1/users/me"), 404, refused("NOT_FOUND", "not found"))
	check(t, r.do("GET", "/auth/v1/nothing"), 404, `{"code":404,"error_code":"not_found","msg":"not found"}`)
	check(t, r.do("GET", "/api/v2/keys/verify", "Origin", "https://a-client-of-the-proxy.example.net"), 401, `{"valid":false,"code":"MALFORMED"}`)
	check(t, r.do("GET", "/api/v2/users/me", "Origin", "https://a-client-of-the-proxy.example.net"), 403, refused("FORBIDDEN", "the origin is not allowed"))

	r = r.with(prefixed("/auth")) // where /auth/v1 is below it
	r.Handler = r.api             // and the document is of no use
	check(t, r.do("GET", "/auth/v1/nothing"), 404, refused("NOT_FOUND", "not found"))
	r = r.with(prefixed(""))
	check(t, r.do("GET", "/users/me"), 401, noToken)
	check(t, r.do("GET", "/"+uuid.NewString()), 404, refused("NOT_FOUND", "not found"))
}
