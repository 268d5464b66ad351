package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/token"
)

const issuer = "https://papyrus.example.com/auth/v1"

var alice = token.Subject{UserID: "u1", Email: "alice@example.com", SessionID: "s1"}

// newIssuer returns an issuer whose tokens live for an hour, at *now, and the ring of its one key.
func newIssuer(t testing.TB, key *ecdsa.PrivateKey, now *time.Time) (*token.AccessIssuer, ring) {
	t.Helper()
	r := ring{keys: []token.Key{mustKey(t, token.Access, "", key)}}
	return token.NewAccessIssuer(r, issuer, time.Hour, func() time.Time { return *now }), r
}

func mustIssue(t testing.TB, a *token.AccessIssuer) string {
	t.Helper()
	raw, _, err := a.Issue(t.Context(), alice)
	must(t, err)
	return raw.Reveal()
}

func TestIssue(t *testing.T) {
	now := noon.Add(999 * time.Millisecond)
	a, keys := newIssuer(t, mustEC(t, elliptic.P256()), &now)
	raw, expires, err := a.Issue(t.Context(), alice)
	must(t, err)
	if !expires.Equal(noon.Add(time.Hour)) || a.TTL() != time.Hour {
		t.Errorf("expires at %v, lives for %v", expires, a.TTL())
	}

	claims := part(t, raw.Reveal(), 1)
	id, _ := claims["jti"].(string)
	if uuid.Validate(id) != nil {
		t.Errorf("jti is %q", id)
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": issuer, "aud": "authenticated", "role": "authenticated", "sub": "u1", "email": "alice@example.com", "session_id": "s1",
		"iat": float64(noon.Unix()), "exp": float64(noon.Add(time.Hour).Unix()),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	header := part(t, raw.Reveal(), 0)
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "JWT", "kid": keys.keys[0].ID}, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if second := part(t, mustIssue(t, a), 1); second["jti"] == id {
		t.Error("two tokens have one jti")
	}
}

func TestVerify(t *testing.T) {
	now := noon
	key := mustEC(t, elliptic.P256())
	a, keys := newIssuer(t, key, &now)
	stranger, _ := newIssuer(t, mustEC(t, elliptic.P256()), &now)
	keyID := keys.keys[0].ID
	good := jwt.MapClaims{
		"iss": issuer, "aud": "authenticated", "role": "authenticated", "sub": "u1", "email": "alice@example.com", "session_id": "s1",
		"iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(), "jti": "1",
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(t, err)
	publicPEM := []byte(mustPKIX(t, key))
	point, err := key.PublicKey.Bytes()
	must(t, err)

	sign := func(method jwt.SigningMethod, keyID, key any, claims jwt.Claims) string {
		t := jwt.NewWithClaims(method, claims)
		if keyID != nil {
			t.Header["kid"] = keyID
		}
		raw, err := t.SignedString(key)
		if err != nil {
			panic(err)
		}
		return raw
	}
	signed := func(claims jwt.Claims) string { return sign(jwt.SigningMethodES256, keyID, key, claims) }
	but := func(name string, value any) string {
		claims := maps.Clone(good)
		claims[name] = value
		return signed(claims)
	}
	without := func(name string) string {
		claims := maps.Clone(good)
		delete(claims, name)
		return signed(claims)
	}
	parts := strings.Split(signed(good), ".")

	for _, tt := range []struct {
		name string
		raw  string
		ok   bool
	}{
		{"of ours", mustIssue(t, a), true},
		{"made by hand", signed(good), true},
		{"a second before it expires", but("exp", noon.Add(time.Second).Unix()), true},
		{"as it expires", but("exp", noon.Unix()), false},
		{"expired", but("exp", noon.Add(-time.Hour).Unix()), false},
		{"that never expires", without("exp"), false},
		{"of a replica whose clock is ahead", but("iat", noon.Add(time.Minute).Unix()), true},
		{"of another issuer", but("iss", "https://evil.example.com/auth/v1"), false},
		{"of an issuer that begins the same", but("iss", issuer+"/"), false},
		{"without an issuer", without("iss"), false},
		{"for another audience", but("aud", "anon"), false},
		{"without an audience", without("aud"), false},
		{"for a list of audiences", but("aud", []string{"authenticated"}), false},
		{"of another role", but("role", "service_role"), false},
		{"without a role", without("role"), false},
		{"without a subject", without("sub"), false},
		{"without a session", without("session_id"), false},
		{"with a number for its subject", but("sub", 1), false},
		{"algorithm none", sign(jwt.SigningMethodNone, keyID, jwt.UnsafeAllowNoneSignatureType, good), false},
		{"algorithm none without the last dot", parts[0] + "." + parts[1], false},
		{"its signature cut off", parts[0] + "." + parts[1] + ".", false},
		{"HS256 with the public key in PEM", sign(jwt.SigningMethodHS256, keyID, publicPEM, good), false},
		{"HS256 with the public key in DER", sign(jwt.SigningMethodHS256, keyID, public, good), false},
		{"HS256 with the point of the public key", sign(jwt.SigningMethodHS256, keyID, point, good), false},
		{"of another key under the same id", sign(jwt.SigningMethodES256, keyID, mustEC(t, elliptic.P256()), good), false},
		{"of another algorithm and curve", sign(jwt.SigningMethodES384, keyID, mustEC(t, elliptic.P384()), good), false},
		{"of another issuer's key", mustIssue(t, stranger), false},
		{"without a key id", sign(jwt.SigningMethodES256, nil, key, good), false},
		{"with a number for its key id", sign(jwt.SigningMethodES256, 1, key, good), false},
		{"with another's claims", parts[0] + "." + strings.Split(but("sub", "u2"), ".")[1] + "." + parts[2], false},
		{"of 5 KiB", but("email", strings.Repeat("a", 5<<10)), false},
		{"all dots", strings.Repeat(".", 4096), false},
		{"with a NUL after it", signed(good) + "\x00", false},
		{"empty", "", false},
		{"garbage", "garbage", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := a.Verify(t.Context(), tt.raw)
			switch {
			case tt.ok && (err != nil || got != alice):
				t.Errorf("Verify() = %+v, %v", got, err)
			case !tt.ok && !errors.Is(err, token.ErrInvalid):
				t.Errorf("Verify() = %+v, %v; want ErrInvalid", got, err)
			}
		})
	}
}

func TestOutageOfTheKeysIsNoRefusal(t *testing.T) {
	now := noon
	a, _ := newIssuer(t, mustEC(t, elliptic.P256()), &now)
	raw := mustIssue(t, a)
	without := token.NewAccessIssuer(ring{err: errDown}, issuer, time.Hour, time.Now)
	if _, err := without.Verify(t.Context(), raw); !errors.Is(err, errDown) || errors.Is(err, token.ErrInvalid) {
		t.Errorf("Verify() = %v", err)
	}
	if _, _, err := without.Issue(t.Context(), alice); !errors.Is(err, errDown) {
		t.Errorf("Issue() = %v", err)
	}
}
