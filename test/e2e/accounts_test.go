package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// TestAccountsExchange is what the shipped app says to papyrus from the first start to the sign-out, and what it hears, byte for
// byte but for what is never the same twice.
func TestAccountsExchange(t *testing.T) {
	const publicURL = "https://accounts.example.com"
	p := start(t, "papyrus", program.Settings{"PUBLIC_BASE_URL": publicURL})
	papyrus := p.URL("papyrus")
	r := &reader{t: t, email: "reader@example.com", password: record.NewSecret("password")}
	send := func(method, path, body string) wire.Answer {
		t.Helper()
		if r.accessToken == "" {
			return mustPost(t, papyrus+path, body)
		}
		return r.call(method, papyrus+path, body)
	}
	const grant = `{"access_token":"<jwt>","refresh_token":"<opaque>","token_type":"Bearer","expires_in":3600,"user":{"user_id":"<uuid>",` +
		`"email":"reader@example.com","display_name":"Reader","avatar_url":null,"email_verified":false,"created_at":"<time>","last_login_at":"<time>"}}`
	const none = ""

	registered := send(http.MethodPost, "/v1/auth/register", r.registration())
	isExactly(t, "register", registered, http.StatusCreated, grant)
	loggedIn := send(http.MethodPost, "/v1/auth/login", r.credentials())
	isExactly(t, "login", loggedIn, http.StatusOK, grant)
	r.take(loggedIn, http.StatusOK)
	refreshed := mustRefresh(t, papyrus, r.refreshToken)
	isExactly(t, "refresh", refreshed, http.StatusOK, grant)
	r.take(refreshed, http.StatusOK)
	synced := send(http.MethodPost, "/v1/auth/powersync-token", none)
	isExactly(t, "powersync-token", synced, http.StatusOK, `{"token":"<jwt>","expires_in":300}`)
	published := send(http.MethodGet, "/v1/auth/jwks", none)
	isExactly(t, "jwks", published, http.StatusOK,
		`{"keys":[{"use":"sig","kty":"RSA","kid":"<uuid>","alg":"RS256","n":"<modulus>","e":"AQAB"}]}`)
	isPowerSyncToken(t, synced.Member("token"), published.Body, jwt.MapClaims{
		"sub": r.userID, "aud": "powersync", "type": "powersync", "iss": publicURL,
	})

	isExactly(t, "logout", send(http.MethodPost, "/v1/auth/logout", none), http.StatusNoContent, none)
	ended := send(http.MethodPost, "/v1/auth/powersync-token", none)
	isExactly(t, "powersync-token after logout", ended, http.StatusUnauthorized,
		`{"error":{"code":"SESSION_REVOKED","message":"The session has ended","details":{}}}`)
	if challenge := ended.Header.Get("WWW-Authenticate"); challenge != "Bearer" {
		t.Errorf("WWW-Authenticate %q", challenge)
	}
	isExactly(t, "refresh after logout", mustRefresh(t, papyrus, r.refreshToken), http.StatusUnauthorized,
		`{"error":{"code":"UNAUTHORIZED","message":"Invalid refresh token","details":{}}}`)
}

// placeholders stand for what differs from run to run.
var placeholders = []struct {
	expression *regexp.Regexp
	text       string
}{
	{regexp.MustCompile(`"eyJ[\w-]+\.[\w-]+\.[\w-]+"`), `"<jwt>"`},
	{regexp.MustCompile(`"refresh_token":"[\w-]{40,}"`), `"refresh_token":"<opaque>"`},
	{regexp.MustCompile(`"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`), `"<uuid>"`},
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"`), `"<time>"`},
	{regexp.MustCompile(`"n":"[\w-]{342}"`), `"n":"<modulus>"`}, // 2048 bits
}

// isExactly checks a whole answer of papyrus. What holds a token must not be kept on the way.
func isExactly(t *testing.T, step string, a wire.Answer, status int, body string) {
	t.Helper()
	keepTokens(a)
	got := strings.TrimSuffix(a.Body, "\n")
	for _, p := range placeholders {
		got = p.expression.ReplaceAllString(got, p.text)
	}
	if a.Status != status {
		t.Errorf("%s: status %d, want %d", step, a.Status, status)
	}
	if diff := cmp.Diff(body, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", step, diff)
	}
	if contentType := a.Header.Get("Content-Type"); body != "" && contentType != "application/json; charset=utf-8" {
		t.Errorf("%s: Content-Type %q", step, contentType)
	}
	if cached := a.Header.Get("Cache-Control"); strings.Contains(body, "<jwt>") && cached != "no-store" {
		t.Errorf("%s: Cache-Control %q", step, cached)
	}
}

// isPowerSyncToken verifies a token as a PowerSync Service does: by the published keys and nothing else.
func isPowerSyncToken(t *testing.T, token, jwks string, want jwt.MapClaims) {
	t.Helper()
	record.Keep("PowerSync token", token)
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &keys); err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		id, _ := token.Header["kid"].(string)
		found := keys.Key(id)
		if len(found) != 1 || !found[0].Valid() || !found[0].IsPublic() {
			return nil, fmt.Errorf("%d keys have the id %q", len(found), id)
		}
		return found[0].Key, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuedAt(), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatalf("the PowerSync token: %v", err)
	}
	issued, _ := claims["iat"].(float64)
	expires, _ := claims["exp"].(float64)
	if expires-issued != 300 {
		t.Errorf("the PowerSync token lives for %v s", expires-issued)
	}
	delete(claims, "iat")
	delete(claims, "exp")
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims of the PowerSync token beside its times (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"alg": "RS256", "typ": "JWT", "kid": parsed.Header["kid"]}, parsed.Header); diff != "" {
		t.Errorf("header of the PowerSync token (-want +got):\n%s", diff)
	}
}
