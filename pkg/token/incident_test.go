package token_test

import (
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/token"
)

// TestTokensAreMeasuredFirst is named after CVE-2025-30204 and its like, in which a header of dots was split into as many strings.
func TestTokensAreMeasuredFirst(t *testing.T) {
	now := noon
	a, _ := newIssuer(t, mustEC(t, elliptic.P256()), &now)
	longest := 0
	for n := 2600; longest <= token.MaxLen; n++ {
		who := token.Subject{UserID: "u1", Email: strings.Repeat("e", n), SessionID: "s1"}
		raw, _, err := a.Issue(t.Context(), who)
		must(t, err)
		longest = len(raw.Reveal())
		_, err = a.Verify(t.Context(), raw.Reveal())
		if wanted := longest <= token.MaxLen; (err == nil) != wanted || err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Fatalf("a token of %d bytes: %v", longest, err)
		}
	}
	unreachable := token.NewAccessIssuer(ring{err: errDown}, issuer, time.Hour, time.Now)
	if _, err := unreachable.Verify(t.Context(), strings.Repeat(".", 64<<20)); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("64 MiB of dots: %v", err)
	}
}

// TestEncryptedTokensAreRefused is named after CVE-2024-28180, in which a compressed token took all memory when it was decrypted.
func TestEncryptedTokensAreRefused(t *testing.T) {
	now := noon
	key := mustEC(t, elliptic.P256())
	a, keys := newIssuer(t, key, &now)
	recipient := jose.Recipient{Algorithm: jose.ECDH_ES, Key: &key.PublicKey, KeyID: keys.keys[0].ID}
	options := (&jose.EncrypterOptions{Compression: jose.DEFLATE}).WithContentType("JWT")
	encrypter, err := jose.NewEncrypter(jose.A128GCM, recipient, options)
	must(t, err)
	encrypted, err := encrypter.Encrypt([]byte(mustIssue(t, a)))
	must(t, err)
	compact, err := encrypted.CompactSerialize()
	must(t, err)
	if _, err := a.Verify(t.Context(), compact); !errors.Is(err, token.ErrInvalid) || strings.Count(compact, ".") != 4 {
		t.Errorf("Verify(%s) = %v, want ErrInvalid", compact, err)
	}
}

// TestKeysThatATokenBringsAreNotUsed is named after the certificates that notifications brought along, by URL, to be verified with.
func TestKeysThatATokenBringsAreNotUsed(t *testing.T) {
	now := noon
	a, keys := newIssuer(t, mustEC(t, elliptic.P256()), &now)
	attackers := mustEC(t, elliptic.P256())
	for name, value := range map[string]any{
		"jwk": jose.JSONWebKey{Key: &attackers.PublicKey, Algorithm: "ES256"},
		"jku": "https://evil.example.com/jwks.json",
		"x5u": "https://evil.example.com/certificate.pem",
		"kid": "https://evil.example.com/jwks.json",
	} {
		t.Run(name, func(t *testing.T) {
			forged := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
				"iss": issuer, "aud": "authenticated", "role": "authenticated", "sub": "u1", "session_id": "s1", "exp": noon.Add(time.Hour).Unix(),
			})
			forged.Header["kid"] = keys.keys[0].ID
			forged.Header[name] = value
			raw, err := forged.SignedString(attackers)
			must(t, err)
			if _, err := a.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("Verify() = %v, want ErrInvalid", err)
			}
		})
	}
}
