package supabase_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/supabase"
)

var es256 = jwt.SigningMethodES256

// faults are claims that make a JWT invalid, however it is signed.
var faults = map[string]jwt.MapClaims{
	"another audience":   {"aud": "anon"},
	"no audience":        {"aud": nil},
	"another issuer":     {"iss": "https://evil.test/auth/v1"},
	"no issuer":          {"iss": nil},
	"an issuer's prefix": {"iss": projectURL},
	"expired":            {"exp": noon.Add(-time.Second).Unix()},
	"expiring now":       {"exp": noon.Unix()},
	"no expiry":          {"exp": nil},
	"expiry as text":     {"exp": "tomorrow"},
	"not valid yet":      {"nbf": noon.Add(time.Minute).Unix()},
	"no subject":         {"sub": nil},
	"too long":           {"padding": strings.Repeat("x", 5<<10)},
}

func TestSecretValidator(t *testing.T) {
	key := secret.New("0123456789abcdef0123456789abcdef")
	v := supabase.NewSecretValidator(key, projectURL+"/", "", atNoon)
	good := mustSign(t, jwt.SigningMethodHS256, "", key.Bytes(), claims(nil))
	if who, err := v.Validate(t.Context(), good); err != nil || who.UserID != userID {
		t.Fatalf("Validate() = %v, %v", who, err)
	}

	bad := map[string]string{
		"another secret":      mustSign(t, jwt.SigningMethodHS256, "", []byte("another"), claims(nil)),
		"another hash":        mustSign(t, jwt.SigningMethodHS512, "", key.Bytes(), claims(nil)),
		"no signature":        mustSign(t, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"a changed signature": good[:len(good)-2] + "AA",
		"an asymmetric key":   mustSign(t, es256, "k1", newECKey(t), claims(nil)),
		"no JWT":              "a.b.c",
		"empty":               "",
		"only dots":           strings.Repeat(".", 4000),
	}
	for name, fault := range faults {
		bad[name] = mustSign(t, jwt.SigningMethodHS256, "", key.Bytes(), claims(fault))
	}
	for name, raw := range bad {
		if who, err := v.Validate(t.Context(), raw); !errors.Is(err, provision.ErrInvalidAuth) || who.UserID != "" {
			t.Errorf("%s: %v, %v", name, who, err)
		}
	}
}

func TestSecretValidatorWithoutSecretValidatesNothing(t *testing.T) {
	v := supabase.NewSecretValidator(secret.Text{}, projectURL, "", atNoon)
	raw := mustSign(t, jwt.SigningMethodHS256, "", []byte{}, claims(nil))
	if _, err := v.Validate(t.Context(), raw); !errors.Is(err, provision.ErrInvalidAuth) {
		t.Errorf("Validate() = %v", err)
	}
}

func TestIssuerCanBeSet(t *testing.T) {
	key := secret.New("0123456789abcdef0123456789abcdef")
	v := supabase.NewSecretValidator(key, projectURL, "https://id.example.com", atNoon)
	for iss, want := range map[string]apierror.Code{"https://id.example.com": "", issuer: provision.CodeInvalidAuth} {
		raw := mustSign(t, jwt.SigningMethodHS256, "", key.Bytes(), claims(jwt.MapClaims{"iss": iss}))
		if _, err := v.Validate(t.Context(), raw); code(err) != want {
			t.Errorf("%s: %v", iss, err)
		}
	}
}

func TestJWKSValidator(t *testing.T) {
	ec, withdrawn := newECKey(t), newECKey(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shared := []byte("0123456789abcdef0123456789abcdef")
	encryption := public("enc", "ES256", &ec.PublicKey)
	encryption.Use = "enc"
	v := supabase.NewJWKSValidator(projectURL+"/", "", served(jwks(t,
		public("ec", "ES256", &ec.PublicKey), public("ec-plain", "", &ec.PublicKey), public("rsa", "RS256", &rsaKey.PublicKey),
		public("rsa-plain", "", &rsaKey.PublicKey), public("ed", "EdDSA", edPublic), public("ed-plain", "", edPublic),
		public("rsa-512", "RS512", &rsaKey.PublicKey), public("rsa-says-es", "ES256", &rsaKey.PublicKey), public("p384", "", &p384.PublicKey),
		encryption, jose.JSONWebKey{Key: shared, KeyID: "oct", Algorithm: "HS256"}, map[string]any{"kty": "OKP", "crv": "X448", "x": "AA", "kid": "x448"},
	)), atNoon)

	for name, raw := range map[string]string{
		"ES256": mustSign(t, es256, "ec", ec, claims(nil)), "ES256 of a key that says nothing": mustSign(t, es256, "ec-plain", ec, claims(nil)),
		"RS256": mustSign(t, jwt.SigningMethodRS256, "rsa", rsaKey, claims(nil)), "RS256 of a key that says nothing": mustSign(t, jwt.SigningMethodRS256, "rsa-plain", rsaKey, claims(nil)),
		"EdDSA": mustSign(t, jwt.SigningMethodEdDSA, "ed", edKey, claims(nil)), "EdDSA of a key that says nothing": mustSign(t, jwt.SigningMethodEdDSA, "ed-plain", edKey, claims(nil)),
	} {
		if who, err := v.Validate(t.Context(), raw); err != nil || who.UserID != userID {
			t.Errorf("%s: %v, %v", name, who, err)
		}
	}

	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	published := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	bad := map[string]string{
		"no signature":                       mustSign(t, jwt.SigningMethodNone, "ec", jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"the public key as an HMAC secret":   mustSign(t, jwt.SigningMethodHS256, "rsa", published, claims(nil)),
		"a symmetric key of the set":         mustSign(t, jwt.SigningMethodHS256, "oct", shared, claims(nil)),
		"an unknown key id":                  mustSign(t, es256, "unknown", ec, claims(nil)),
		"no key id":                          mustSign(t, es256, "", ec, claims(nil)),
		"another key under a known id":       mustSign(t, es256, "ec", withdrawn, claims(nil)),
		"another key's id":                   mustSign(t, es256, "rsa", ec, claims(nil)),
		"RS256 where the key is for RS512":   mustSign(t, jwt.SigningMethodRS256, "rsa-512", rsaKey, claims(nil)),
		"RS512, which is none of ours":       mustSign(t, jwt.SigningMethodRS512, "rsa-512", rsaKey, claims(nil)),
		"PS256 where the key is for RS256":   mustSign(t, jwt.SigningMethodPS256, "rsa", rsaKey, claims(nil)),
		"RS256 where the key says ES256":     mustSign(t, jwt.SigningMethodRS256, "rsa-says-es", rsaKey, claims(nil)),
		"ES384":                              mustSign(t, jwt.SigningMethodES384, "p384", p384, claims(nil)),
		"a key for encryption":               mustSign(t, es256, "enc", ec, claims(nil)),
		"a key of an unknown kind":           mustSign(t, es256, "x448", ec, claims(nil)),
		"an issuer that speaks of fetching":  mustSign(t, es256, "ec", ec, claims(jwt.MapClaims{"iss": "fetching keys: fetch the provider's keys"})),
		"no JWT":                             "a.b.c",
		"a JWS in JSON, with two signatures": `{"payload":"e30","signatures":[]}`,
	}
	for name, fault := range faults {
		bad[name] = mustSign(t, es256, "ec", ec, claims(fault))
	}
	for name, raw := range bad {
		if who, err := v.Validate(t.Context(), raw); !errors.Is(err, provision.ErrInvalidAuth) || who.UserID != "" {
			t.Errorf("%s: %v, %v", name, who, err)
		}
	}
}

func TestJWKSValidatorFetchesKeys(t *testing.T) {
	old, fresh := newECKey(t), newECKey(t)
	var fetches atomic.Int32
	now, answer := noon, jwks(t, public("old", "ES256", &old.PublicKey))
	v := supabase.NewJWKSValidator(projectURL, "", served(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		if r.Method+" "+r.URL.String() != "GET "+issuer+"/.well-known/jwks.json" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		answer(w, r)
	})), func() time.Time { return now })
	lasting := claims(jwt.MapClaims{"exp": noon.Add(24 * time.Hour).Unix()})
	byOld, byFresh := mustSign(t, es256, "old", old, lasting), mustSign(t, es256, "fresh", fresh, lasting)
	down := answers(http.StatusServiceUnavailable, `{}`)

	for _, step := range []struct {
		name    string
		later   time.Duration
		answer  http.HandlerFunc
		raw     string
		want    apierror.Code
		fetches int32
	}{
		{"none at the first, and the provider is down", 0, down, byOld, provision.CodeIdentityUnavailable, 1},
		{"not asked again at once", 0, answer, byOld, provision.CodeIdentityUnavailable, 1},
		{"the provider answers nonsense", time.Second, answers(http.StatusOK, `<html>`), byOld, provision.CodeIdentityUnavailable, 2},
		{"the first", time.Second, answer, byOld, "", 3},
		{"a known key", time.Second, down, byOld, "", 3},
		{"an unknown id soon after: strangers cannot cause fetches", 0, down, byFresh, provision.CodeInvalidAuth, 3},
		{"an unknown id later, and the provider is down", 10 * time.Second, down, byFresh, provision.CodeIdentityUnavailable, 4},
		{"the known key meanwhile", 0, down, byOld, "", 4},
		{"a new key", time.Second, jwks(t, public("old", "ES256", &old.PublicKey), public("fresh", "ES256", &fresh.PublicKey)), byFresh, "", 5},
		{"a withdrawn key, for a while", 9 * time.Minute, jwks(t, public("fresh", "ES256", &fresh.PublicKey)), byOld, "", 5},
		{"a withdrawn key", time.Minute, jwks(t, public("fresh", "ES256", &fresh.PublicKey)), byOld, provision.CodeInvalidAuth, 6},
		{"the provider is down when the keys are to be fetched again", 10 * time.Minute, down, byFresh, "", 7},
		{"as long as it is down, for a time", 49 * time.Minute, down, byFresh, "", 8},
		{"but not for ever", time.Minute, down, byFresh, provision.CodeIdentityUnavailable, 9},
	} {
		now = now.Add(step.later)
		answer = step.answer
		if _, err := v.Validate(t.Context(), step.raw); code(err) != step.want || fetches.Load() != step.fetches {
			t.Errorf("%s: %v after %d fetches, want %q after %d", step.name, err, fetches.Load(), step.want, step.fetches)
		}
	}
}

func TestJWKSValidatorGivesUpInTime(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	v := supabase.NewJWKSValidator(projectURL, "", roundTripper(func(*http.Request) (*http.Response, error) {
		<-end
		return nil, errors.New("late")
	}), atNoon)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := v.Validate(ctx, mustSign(t, es256, "k1", newECKey(t), claims(nil))); code(err) != provision.CodeIdentityTimeout {
		t.Errorf("Validate() = %v, want IDENTITY_TIMEOUT", err)
	}
}
