package supabaseapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/ratelimit"
)

const at = "2026-03-20T12:00:00Z" // noon

// wantUser is the user object of somebody who signed up and in at noon.
func wantUser(id, email, name string) map[string]any {
	return map[string]any{
		"id": id, "aud": "authenticated", "role": "authenticated", "email": email, "phone": "",
		"created_at": at, "updated_at": at, "last_sign_in_at": at, "is_anonymous": false,
		"identities": []any{map[string]any{
			"identity_id": id, "id": id, "user_id": id, "provider": "email", "email": email, "created_at": at, "updated_at": at,
			"identity_data": map[string]any{"email": email, "email_verified": false, "phone_verified": false, "sub": id},
		}},
		"app_metadata":  map[string]any{"provider": "email", "providers": []any{"email"}},
		"user_metadata": map[string]any{"display_name": name},
	}
}

func TestSessionObject(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	signedUp := r.do("POST", "/auth/v1/signup", `{"email":" Reader@Example.com","password":"correct horse battery","data":{"display_name":"Zoë 🔑"},"gotrue_meta_security":{},"code_challenge":null}`)
	g := mustGrant(t, signedUp)
	refreshed := r.refresh(g.Refresh)
	signedIn := r.signIn(email, right)

	want := map[string]any{
		"token_type": "bearer", "expires_in": 3600.0, "expires_at": float64(noon.Add(time.Hour).Unix()),
		"user": wantUser(g.User.ID, email, "Zoë 🔑"),
	}
	tokens := map[any]bool{}
	for _, w := range []struct {
		name   string
		answer map[string]any
		header http.Header
	}{
		{"sign-up", object(t, signedUp), signedUp.Header()},
		{"refresh", object(t, refreshed), refreshed.Header()},
		{"sign-in", object(t, signedIn), signedIn.Header()},
	} {
		tokens[w.answer["access_token"]], tokens[w.answer["refresh_token"]] = true, true
		delete(w.answer, "access_token")
		delete(w.answer, "refresh_token")
		if diff := cmp.Diff(want, w.answer); diff != "" {
			t.Errorf("%s (-want +got):\n%s", w.name, diff)
		}
		if got := w.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", w.name, got)
		}
	}
	if len(tokens) != 6 {
		t.Errorf("%d different tokens, want 6", len(tokens))
	}

	w := r.do("GET", "/auth/v1/user", "", "Authorization", g.bearer(), "apikey", "anything")
	if diff := cmp.Diff(wantUser(g.User.ID, email, "Zoë 🔑"), object(t, w)); diff != "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("user, %q (-want +got):\n%s", w.Header().Get("Cache-Control"), diff)
	}
}

func TestDisplayName(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	for _, tt := range []struct{ name, data, want string }{
		{"none", `{}`, "none"},
		{"null data", `null`, "null"},
		{"of another type", `{"display_name":5}`, "other"},
		{"with unknown members", `{"display_name":"Zoë","age":5}`, "Zoë"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := tt.want + "@example.com"
			if tt.want == "Zoë" {
				address = "zoe@example.com"
			}
			g := mustGrant(t, r.do("POST", "/auth/v1/signup", `{"email":"`+address+`","password":"`+right+`","data":`+tt.data+`}`))
			if diff := cmp.Diff(wantUser(g.User.ID, address, tt.want), object(t, r.do("GET", "/auth/v1/user", "", "Authorization", g.bearer()))); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

// TestJWKS verifies an access token with another library, by nothing but what the endpoint says.
func TestJWKS(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	const path = "/auth/v1/.well-known/jwks.json"
	w := r.do("GET", path, "")
	if got := w.Header().Get("Cache-Control"); got != "public, max-age=600" {
		t.Errorf("Cache-Control %q", got)
	}
	if again := r.do("GET", path, "", "If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("to whoever has it: %d %s", again.Code, again.Body)
	}
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal(w.Body.Bytes(), &set))
	signed, err := jose.ParseSignedCompact(g.Access, []jose.SignatureAlgorithm{jose.ES256})
	must(t, err)
	keys := set.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 || !keys[0].IsPublic() || keys[0].Use != "sig" || keys[0].Algorithm != "ES256" {
		t.Fatalf("keys of the token: %+v", keys)
	}
	payload, err := signed.Verify(keys[0])
	must(t, err)
	if !strings.Contains(string(payload), `"aud":"authenticated"`) {
		t.Errorf("the token says %s", payload)
	}
}

func TestPublicEndpoints(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	check(t, r.do("GET", "/auth/v1/health", ""), 200,
		`{"version":"1.2.3","name":"provisioner","description":"provisioner answers the Supabase Auth API over its own accounts"}`)
	check(t, r.do("GET", "/auth/v1/settings", ""), 200, `{"external":{"email":true},"disable_signup":false,"mailer_autoconfirm":true}`)
	g := r.mustSignUp(t, email)
	for _, path := range []string{"/auth/v1/health", "/auth/v1/settings", "/auth/v1/.well-known/jwks.json", "/auth/v1/user"} {
		got, head := r.do("GET", path, "", "Authorization", g.bearer()), r.do("HEAD", path, "", "Authorization", g.bearer())
		if head.Code != 200 || head.Body.Len() != 0 {
			t.Errorf("HEAD %s = %d with %d bytes", path, head.Code, head.Body.Len())
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Vary"} {
			if head.Header().Get(name) != got.Header().Get(name) {
				t.Errorf("HEAD %s: %s %q, GET %q", path, name, head.Header().Get(name), got.Header().Get(name))
			}
		}
	}
}

func TestLogoutScopes(t *testing.T) {
	const ended = `{"code":403,"error_code":"session_not_found","msg":"Session from session_id claim in JWT does not exist"}`
	r := newRig(t, ratelimit.Limit{})
	stranger := r.mustSignUp(t, "stranger@example.com")
	r.mustSignUp(t, email)
	for _, tt := range []struct {
		scope      string
		own, other int
	}{
		{"", 403, 403},
		{"global", 403, 403},
		{"local", 403, 200},
		{"others", 200, 403},
	} {
		t.Run("scope "+tt.scope, func(t *testing.T) {
			own, other := mustGrant(t, r.signIn(email, right)), mustGrant(t, r.signIn(email, right))
			check(t, r.logout(tt.scope, own), 204, "")
			for _, row := range []struct {
				whose  string
				grant  grant
				status int
			}{{"its own", own, tt.own}, {"the other", other, tt.other}, {"a stranger's", stranger, 200}} {
				w := r.do("GET", "/auth/v1/user", "", "Authorization", row.grant.bearer())
				if w.Code != row.status {
					t.Errorf("%s session: %d %s", row.whose, w.Code, w.Body)
				}
				if w.Code == 403 {
					check(t, w, 403, ended)
				}
			}
			if w := r.refresh(own.Refresh); (w.Code == 200) != (tt.own == 200) {
				t.Errorf("its own refresh token: %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestRefreshFamily(t *testing.T) {
	const refused = `{"code":400,"error_code":"refresh_token_not_found","msg":"Invalid Refresh Token: Refresh Token Not Found"}`
	r := newRig(t, ratelimit.Limit{})
	first := r.mustSignUp(t, email)
	second := mustGrant(t, r.refresh(first.Refresh))
	if again := mustGrant(t, r.refresh(first.Refresh)); again.Refresh != second.Refresh {
		t.Error("the predecessor gives another successor")
	}
	third := mustGrant(t, r.refresh(second.Refresh))
	check(t, r.refresh(first.Refresh), 400, refused)
	check(t, r.refresh(third.Refresh), 400, refused)
	if w := r.do("GET", "/auth/v1/user", "", "Authorization", third.bearer()); w.Code != 403 {
		t.Errorf("after reuse the access token gives %d", w.Code)
	}
}
