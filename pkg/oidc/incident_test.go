package oidc_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/oidc"
)

// TestEncryptedIDToken is named after CVE-2024-28180, in which a compressed token took all memory when it was decrypted. The secret
// of the client, to which a provider could encrypt, opens nothing.
func TestEncryptedIDToken(t *testing.T) {
	r := newRig(t)
	r.provider.sign = func(c jwt.MapClaims) string {
		encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: []byte(clientSecret)[:32], KeyID: "k1"},
			&jose.EncrypterOptions{Compression: jose.DEFLATE})
		if err != nil {
			t.Error(err)
			return ""
		}
		encrypted, err := encrypter.Encrypt([]byte(signRS256(c)))
		if err != nil {
			t.Error(err)
			return ""
		}
		compact, err := encrypted.CompactSerialize()
		if err != nil {
			t.Error(err)
		}
		return compact
	}
	_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
	wantFailure(t, err, oidc.CodeExchangeFailed, "verify the ID token")
}

// TestKeysThatAnIDTokenBringsAreNotUsed is named after the certificates that notifications brought along, by URL, to be verified with.
func TestKeysThatAnIDTokenBringsAreNotUsed(t *testing.T) {
	for name, value := range map[string]any{
		"jwk": jose.JSONWebKey{Key: otherKey().Public(), KeyID: "k1", Algorithm: "RS256"},
		"jku": "https://evil.example.com/keys",
		"x5u": "https://evil.example.com/certificate.pem",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.provider.sign = func(c jwt.MapClaims) string {
				forged := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
				forged.Header["kid"], forged.Header[name] = "k1", value
				signed, err := forged.SignedString(otherKey())
				if err != nil {
					t.Error(err)
				}
				return signed
			}
			_, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
			wantFailure(t, err, oidc.CodeExchangeFailed, "verify the ID token")
		})
	}
}
