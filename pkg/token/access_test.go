package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/token"
)

const issuer = "https://papyrus.example.com/auth/v1"

var (
	noon  = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	alice = token.Subject{UserID: "u1", Email: "alice@example.com", SessionID: "s1"}
)

func mustKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newIssuer returns an issuer whose tokens live for an hour, at *now.
func newIssuer(t testing.TB, key *ecdsa.PrivateKey, now *time.Time) *token.AccessIssuer {
	t.Helper()
	a, err := token.NewAccessIssuer(key, issuer, time.Hour, func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustIssue(t testing.TB, a *token.AccessIssuer) string {
	t.Helper()
	raw, _, err := a.Issue(alice)
	if err != nil {
		t.Fatal(err)
	}
	return raw.Reveal()
}

// part returns part n of a JWT as a JSON object.
func part(t *testing.T, raw string, n int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func TestIssue(t *testing.T) {
	now := noon.Add(999 * time.Millisecond)
	a := newIssuer(t, mustKey(t, elliptic.P256()), &now)
	raw, expires, err := a.Issue(alice)
	if err != nil {
		t.Fatal(err)
	}
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
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "JWT", "kid": a.JWKS().Keys[0].KeyID}, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if second := part(t, mustIssue(t, a), 1); second["jti"] == id {
		t.Error("two tokens have one jti")
	}
}

func TestVerify(t *testing.T) {
	now := noon
	key := mustKey(t, elliptic.P256())
	a := newIssuer(t, key, &now)
	keyID := a.JWKS().Keys[0].KeyID
	good := jwt.MapClaims{
		"iss": issuer, "aud": "authenticated", "role": "authenticated", "sub": "u1", "email": "alice@example.com", "session_id": "s1",
		"iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(), "jti": "1",
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}

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
		{"of another key under the same id", sign(jwt.SigningMethodES256, keyID, mustKey(t, elliptic.P256()), good), false},
		{"of another algorithm and curve", sign(jwt.SigningMethodES384, keyID, mustKey(t, elliptic.P384()), good), false},
		{"of another issuer's key", mustIssue(t, newIssuer(t, mustKey(t, elliptic.P256()), &now)), false},
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
			got, err := a.Verify(tt.raw)
			switch {
			case tt.ok && (err != nil || got != alice):
				t.Errorf("Verify() = %+v, %v", got, err)
			case !tt.ok && !errors.Is(err, token.ErrInvalid):
				t.Errorf("Verify() = %+v, %v; want ErrInvalid", got, err)
			}
		})
	}
}

func TestNewAccessIssuerRefusesAnotherCurve(t *testing.T) {
	if _, err := token.NewAccessIssuer(mustKey(t, elliptic.P384()), issuer, time.Hour, time.Now); err == nil {
		t.Error("a key on P-384 is taken")
	}
}

func TestParseAccessKey(t *testing.T) {
	key := mustKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, kind string
		der        []byte
		ok         bool
	}{
		{"SEC 1", "EC PRIVATE KEY", sec1, true},
		{"PKCS #8", "PRIVATE KEY", pkcs8, true},
		{"half a key", "PRIVATE KEY", pkcs8[:40], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := string(pem.EncodeToMemory(&pem.Block{Type: tt.kind, Bytes: tt.der}))
			got, err := token.ParseAccessKey(secret.New(text))
			if (err == nil) != tt.ok || tt.ok && !got.Equal(key) {
				t.Errorf("ParseAccessKey() = %v", err)
			}
		})
	}
	if _, err := token.ParseAccessKey(secret.New("hunter2")); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("ParseAccessKey(hunter2) = %v", err)
	}
}

// TestJWKS verifies a token with another library, by nothing but the published keys.
func TestJWKS(t *testing.T) {
	now := noon
	key := mustKey(t, elliptic.P256())
	a := newIssuer(t, key, &now)
	text, err := json.Marshal(a.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), `"d"`) {
		t.Fatal("the private key is published")
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}

	signed, err := jose.ParseSignedCompact(mustIssue(t, a), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	keys := set.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys of the token's id", len(keys))
	}
	if _, err := signed.Verify(keys[0]); err != nil {
		t.Error(err)
	}
	if again := newIssuer(t, key, &now).JWKS().Keys[0].KeyID; again != keys[0].KeyID {
		t.Errorf("the id of one key is %q and %q", keys[0].KeyID, again)
	}
}
