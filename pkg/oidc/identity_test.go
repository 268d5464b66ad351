package oidc_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/oidc"
)

// wantRefusedClaims signs in with each of rows as the changed claims of an otherwise good ID token; all must fail for a
// cause that has the words.
func wantRefusedClaims(t *testing.T, cause string, rows map[string]jwt.MapClaims) {
	t.Helper()
	for name, changes := range rows {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.provider.claim = with(changes)
			_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
			wantFailure(t, err, oidc.CodeExchangeFailed, cause)
		})
	}
}

func TestMissingNonce(t *testing.T) {
	wantRefusedClaims(t, "the nonce is missing", map[string]jwt.MapClaims{
		"none":       {"nonce": nil},
		"an empty":   {"nonce": ""},
		"of another": {"nonce": strings.Repeat("A", 43)},
	})
	wantRefusedClaims(t, "ID token", map[string]jwt.MapClaims{"a number": {"nonce": 1}})
}

func TestWrongAudience(t *testing.T) {
	wantRefusedClaims(t, "expected audience", map[string]jwt.MapClaims{
		"none":                {"aud": nil},
		"another client":      {"aud": "another"},
		"a list without us":   {"aud": []string{"another", clientID + "2"}},
		"us as another's azp": {"aud": "another", "azp": clientID},
	})
}

func TestWrongAuthorizedParty(t *testing.T) {
	wantRefusedClaims(t, "authorize", map[string]jwt.MapClaims{
		"another":                 {"azp": "another"},
		"another, with both":      {"aud": []string{clientID, "another"}, "azp": "another"},
		"none, with two to chose": {"aud": []string{clientID, "another"}},
	})
}

func TestWrongIssuer(t *testing.T) {
	wantRefusedClaims(t, "issued by a different provider", map[string]jwt.MapClaims{
		"none":              {"iss": nil},
		"another":           {"iss": "https://accounts.google.com"},
		"Google's short":    {"iss": "accounts.google.com"},
		"with a slash more": {"iss": "http://127.0.0.1/"},
	})
}

func TestExpiredIDToken(t *testing.T) {
	wantRefusedClaims(t, "expired", map[string]jwt.MapClaims{
		"a second ago": {"exp": start.Add(-time.Second).Unix()},
		"never said":   {"exp": nil},
	})
}

func TestIDTokenOfAnotherTime(t *testing.T) {
	wantRefusedClaims(t, "issued", map[string]jwt.MapClaims{
		"in the future":       {"iat": start.Add(5*time.Minute + time.Second).Unix()},
		"older than its flow": {"iat": start.Add(-15*time.Minute - time.Second).Unix()},
		"never said":          {"iat": nil},
	})
	wantRefusedClaims(t, "nbf", map[string]jwt.MapClaims{"not valid yet": {"nbf": start.Add(time.Hour).Unix()}})
}

func TestBadSubject(t *testing.T) {
	wantRefusedClaims(t, "the subject is", map[string]jwt.MapClaims{
		"none":                {"sub": nil},
		"empty":               {"sub": ""},
		"too long":            {"sub": strings.Repeat("s", 256)},
		"not ASCII":           {"sub": "sübject"},
		"a control character": {"sub": "s\x00"},
	})
}

func TestForgedIDToken(t *testing.T) {
	public, err := x509.MarshalPKIXPublicKey(providerKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	const algorithm, malformed, signature = "unexpected signature algorithm", "malformed jwt", "failed to verify"
	for _, tt := range []struct {
		name  string
		forge func(jwt.MapClaims) string
		cause string
	}{
		{"alg none", signWith(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1"), algorithm},
		{"HS256 with the public key", signWith(jwt.SigningMethodHS256, asPEM, "k1"), algorithm},
		{"HS256 with the client's secret", signWith(jwt.SigningMethodHS256, []byte(clientSecret), "k1"), algorithm},
		{"another key of the same id", signWith(jwt.SigningMethodRS256, otherKey(), "k1"), signature},
		{"another key of another id", signWith(jwt.SigningMethodRS256, otherKey(), "k2"), signature},
		{"another key without an id", signWith(jwt.SigningMethodRS256, otherKey(), ""), signature},
		{"no signature", func(c jwt.MapClaims) string {
			claims, _ := cutSignature(signRS256(c))
			return claims
		}, signature},
		{"other claims under a good signature", func(c jwt.MapClaims) string {
			_, good := cutSignature(signRS256(c))
			c["sub"] = "s2"
			claims, _ := cutSignature(signRS256(c))
			return claims + good
		}, signature},
		{"no JWT at all", func(jwt.MapClaims) string { return "a.b.c" }, malformed},
		{"none at all", func(jwt.MapClaims) string { return "" }, "missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.provider.sign = tt.forge
			_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
			wantFailure(t, err, oidc.CodeExchangeFailed, tt.cause)
		})
	}
}

// cutSignature splits a JWT after its second point.
func cutSignature(token string) (claims, signature string) {
	at := strings.LastIndex(token, ".") + 1
	return token[:at], token[at:]
}

func TestHugeIDToken(t *testing.T) {
	for name, forge := range map[string]func(jwt.MapClaims) string{
		"a good one":    func(c jwt.MapClaims) string { c["padding"] = strings.Repeat("p", 16<<10); return signRS256(c) },
		"one of points": func(jwt.MapClaims) string { return strings.Repeat(".", 200<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.provider.sign = forge
			_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
			wantFailure(t, err, oidc.CodeExchangeFailed, "missing or too long")
			if n := r.provider.calls["/keys"]; n != 0 {
				t.Error("it was looked at")
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	reader := oidc.Identity{Subject: "s1", Email: "reader@example.com", EmailVerified: true, Name: "Zoë Reader", Picture: "https://example.com/zoe.png"}
	for _, tt := range []struct {
		name    string
		changes jwt.MapClaims
		want    func(*oidc.Identity)
	}{
		{"named as the authorized party", jwt.MapClaims{"azp": clientID, "aud": []string{"another", clientID}}, func(*oidc.Identity) {}},
		{"a clock that is behind", jwt.MapClaims{"iat": start.Add(5 * time.Minute).Unix()}, func(*oidc.Identity) {}},
		{"the longest subject", jwt.MapClaims{"sub": strings.Repeat("s", 255)}, func(i *oidc.Identity) { i.Subject = strings.Repeat("s", 255) }},
		{"an unverified e-mail", jwt.MapClaims{"email_verified": false}, func(i *oidc.Identity) { i.EmailVerified = false }},
		{"nothing said of it", jwt.MapClaims{"email_verified": nil}, func(i *oidc.Identity) { i.EmailVerified = false }},
		{"verified as a string", jwt.MapClaims{"email_verified": "true"}, func(*oidc.Identity) {}},
		{"verified as a number", jwt.MapClaims{"email_verified": 1}, func(i *oidc.Identity) { i.EmailVerified = false }},
		{"no e-mail", jwt.MapClaims{"email": nil}, func(i *oidc.Identity) { i.Email, i.EmailVerified = "", false }},
		{"no valid e-mail", jwt.MapClaims{"email": "reader"}, func(i *oidc.Identity) { i.Email, i.EmailVerified = "", false }},
		{"control characters in the name", jwt.MapClaims{"name": " Zoë\x00\n Reader "}, func(*oidc.Identity) {}},
		{"a long name", jwt.MapClaims{"name": strings.Repeat("ë", 101)}, func(i *oidc.Identity) { i.Name = strings.Repeat("ë", 100) }},
		{"a picture over http", jwt.MapClaims{"picture": "http://example.com/zoe.png"}, func(i *oidc.Identity) { i.Picture = "" }},
		{"a picture that is a script", jwt.MapClaims{"picture": "javascript:alert(1)"}, func(i *oidc.Identity) { i.Picture = "" }},
		{"a long picture", jwt.MapClaims{"picture": "https://example.com/" + strings.Repeat("p", 2048)}, func(i *oidc.Identity) { i.Picture = "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.provider.claim = with(tt.changes)
			got, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
			if err != nil {
				t.Fatal(err)
			}
			want := reader
			tt.want(&want)
			if diff := cmp.Diff(want, got.Identity); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// withUserInfo is a provider that leaves the e-mail out of its ID tokens.
func withUserInfo(t *testing.T, info map[string]any) rig {
	t.Helper()
	r := newRig(t)
	r.provider.describe = func(m map[string]any) { m["userinfo_endpoint"] = r.provider.URL + "/userinfo" }
	r.provider.claim = with(jwt.MapClaims{"email": nil, "email_verified": nil, "name": nil, "picture": nil})
	r.provider.userInfo = info
	return r
}

func TestUserInfo(t *testing.T) {
	r := withUserInfo(t, map[string]any{"sub": "s1", "email": "reader@example.com", "email_verified": "true", "name": "Zoë"})
	got, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
	if err != nil {
		t.Fatal(err)
	}
	if want := (oidc.Identity{Subject: "s1", Email: "reader@example.com", EmailVerified: true, Name: "Zoë"}); got.Identity != want {
		t.Errorf("identity = %+v, want %+v", got.Identity, want)
	}
}

func TestUserInfoOfAnotherUser(t *testing.T) {
	r := withUserInfo(t, map[string]any{"sub": "s2", "email": "admin@example.com", "email_verified": true})
	_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
	wantFailure(t, err, oidc.CodeExchangeFailed, "about another user")
}

func TestClientAuthentication(t *testing.T) {
	refuse := func(code string, unlessPost bool) func(*provider) http.HandlerFunc {
		return func(p *provider) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if unlessPost && r.FormValue("client_secret") == clientSecret {
					p.grant(w)
					return
				}
				writeJSON(w, http.StatusUnauthorized, map[string]string{"error": code})
			}
		}
	}
	for _, tt := range []struct {
		name    string
		methods []string // that the provider offers
		redeem  func(*provider) http.HandlerFunc
		used    string // the last
		calls   int
		cause   string // "" for success
	}{
		{"nothing said is basic", nil, nil, "basic", 1, ""},
		{"basic goes first", []string{"client_secret_post", "client_secret_basic"}, nil, "basic", 1, ""},
		{"post where it is the only one", []string{"client_secret_post", "private_key_jwt"}, nil, "post", 1, ""},
		{"post for a client that is registered so", []string{"client_secret_basic", "client_secret_post"}, refuse("invalid_client", true), "post", 2, ""},
		{"neither is known", []string{"client_secret_basic", "client_secret_post"}, refuse("invalid_client", false), "post", 2, "401 invalid_client"},
		{"a refused code is not sent again", []string{"client_secret_basic", "client_secret_post"}, refuse("invalid_grant", true), "basic", 1, "401 invalid_grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.provider.describe = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = tt.methods }
			if tt.redeem != nil {
				r.provider.redeem = tt.redeem(r.provider)
			}
			_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
			if tt.cause != "" {
				wantFailure(t, err, oidc.CodeExchangeFailed, tt.cause)
			} else if err != nil {
				t.Error(err)
			}
			if r.provider.lastClient != tt.used || r.provider.calls["/token"] != tt.calls {
				t.Errorf("%d calls, the last with %s, want %d, %s", r.provider.calls["/token"], r.provider.lastClient, tt.calls, tt.used)
			}
		})
	}
}
