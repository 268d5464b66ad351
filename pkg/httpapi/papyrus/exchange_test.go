package papyrus_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// TestExchange plays what an unmodified client says and hears, from its registration to its logout.
func TestExchange(t *testing.T) {
	r := newRig(t)
	client := []string{"Content-Type", "application/json; charset=utf-8", "Accept", "application/json", "User-Agent", "Dart/3.5 (dart:io)"}
	send := func(method, path, body, bearer string) *httptest.ResponseRecorder {
		headers := client
		if bearer != "" {
			headers = append(headers[:len(headers):len(headers)], "Authorization", "Bearer "+bearer)
		}
		return r.send(method, path, body, headers...)
	}

	w := send("POST", "/v1/auth/register", `{"email":"reader@example.com","password":"SecureP@ss123","display_name":"Zoë","client_type":"mobile","device_label":"flutter-android"}`, "")
	registered := mustGrant(t, w)
	user := wantUser(registered.User.ID, email)
	check(t, w, 201, wantTokens(registered, user))
	checkNoStore(t, w)

	w = send("POST", "/v1/auth/login", `{"email":"reader@example.com","password":"SecureP@ss123","client_type":"mobile","device_label":"flutter-android"}`, "")
	loggedIn := mustGrant(t, w)
	check(t, w, 200, wantTokens(loggedIn, user))
	checkNoStore(t, w)

	w = send("POST", "/v1/auth/refresh", `{"refresh_token":"`+loggedIn.Refresh+`"}`, "")
	refreshed := mustGrant(t, w)
	check(t, w, 200, wantTokens(refreshed, user))
	checkNoStore(t, w)
	if refreshed.Refresh == loggedIn.Refresh || refreshed.Access == loggedIn.Access {
		t.Error("the refresh gave an old token")
	}

	w = send("POST", "/v1/auth/powersync-token", ``, refreshed.Access)
	var issued struct{ Token string }
	must(t, json.Unmarshal(w.Body.Bytes(), &issued))
	check(t, w, 200, `{"token":"`+issued.Token+`","expires_in":300}`)
	checkNoStore(t, w)

	w = send("GET", "/v1/auth/jwks", ``, "")
	var keys jose.JSONWebKeySet
	must(t, json.Unmarshal(w.Body.Bytes(), &keys))
	var modulus struct{ Keys []struct{ N string } }
	must(t, json.Unmarshal(w.Body.Bytes(), &modulus))
	check(t, w, 200, `{"keys":[{"use":"sig","kty":"RSA","kid":"powersync-1","alg":"RS256","n":"`+modulus.Keys[0].N+`","e":"AQAB"}]}`)
	checkPowerSyncToken(t, issued.Token, keys, registered.User.ID)

	check(t, send("POST", "/v1/auth/logout", ``, refreshed.Access), 204, ``)
	check(t, send("POST", "/v1/auth/powersync-token", ``, refreshed.Access), 401, sessionEnded)
	check(t, send("POST", "/v1/auth/refresh", `{"refresh_token":"`+refreshed.Refresh+`"}`, ""), 401, refused("UNAUTHORIZED", "Invalid refresh token"))
	mustGrant(t, r.refresh(registered.Refresh)) // the other session lives on
}

// checkPowerSyncToken verifies a token by nothing but the published keys, and wants exactly the claims of the contract.
func checkPowerSyncToken(t *testing.T, raw string, keys jose.JSONWebKeySet, userID string) {
	t.Helper()
	parsed, err := jwt.Parse(raw, func(tok *jwt.Token) (any, error) {
		return keys.Key(tok.Header["kid"].(string))[0].Key, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	must(t, err)
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(parsed.Raw, ".")[1])
	must(t, err)
	var got map[string]any
	must(t, json.Unmarshal(claims, &got))
	want := map[string]any{
		"iss": publicURL, "sub": userID, "aud": "powersync", "type": "powersync",
		"iat": float64(noon.Unix()), "exp": float64(noon.Unix() + 300),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}
