package supabase_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/supabase"
)

// TestEncryptedJWTsAreRefused is named after CVE-2024-28180, in which a compressed token took all memory when it was decrypted.
func TestEncryptedJWTsAreRefused(t *testing.T) {
	ec, shared := newECKey(t), secret.New("0123456789abcdef0123456789abcdef")
	for name, tt := range map[string]struct {
		validator provision.Validator
		recipient jose.Recipient
		signed    string
	}{
		"to a published key": {
			supabase.NewJWKSValidator(projectURL, "", served(jwks(t, public("ec", "ES256", &ec.PublicKey))), atNoon),
			jose.Recipient{Algorithm: jose.ECDH_ES, Key: &ec.PublicKey, KeyID: "ec"},
			mustSign(t, es256, "ec", ec, claims(nil)),
		},
		"to the shared secret": {
			supabase.NewSecretValidator(shared, projectURL, "", atNoon),
			jose.Recipient{Algorithm: jose.DIRECT, Key: shared.Bytes()},
			mustSign(t, jwt.SigningMethodHS256, "", shared.Bytes(), claims(nil)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			encrypter, err := jose.NewEncrypter(jose.A256GCM, tt.recipient, &jose.EncrypterOptions{Compression: jose.DEFLATE})
			if err != nil {
				t.Fatal(err)
			}
			encrypted, err := encrypter.Encrypt([]byte(tt.signed))
			if err != nil {
				t.Fatal(err)
			}
			compact, err := encrypted.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tt.validator.Validate(t.Context(), compact); !errors.Is(err, provision.ErrInvalidAuth) {
				t.Errorf("Validate() = %v, want ErrInvalidAuth", err)
			}
			if _, err := tt.validator.Validate(t.Context(), tt.signed); err != nil {
				t.Errorf("the JWT inside: %v", err)
			}
		})
	}
}

// TestRememberedJWTsAreBounded is named after CVE-2025-2559, in which every token that was ever shown stayed in memory until it
// expired.
func TestRememberedJWTsAreBounded(t *testing.T) {
	const shown, room = 15_000, 10_000
	asked := 0
	var refusal error
	v := supabase.NewCachedValidator(validator(func(context.Context, string) (provision.Identity, error) {
		asked++
		return provision.Identity{UserID: userID}, refusal
	}), time.Minute, atNoon)
	show := func(i int) error {
		payload := fmt.Appendf(nil, `{"exp":%d,"n":%d}`, noon.Add(365*24*time.Hour).Unix(), i)
		_, err := v.Validate(t.Context(), "eyJhbGciOiJFUzI1NiJ9."+base64.RawURLEncoding.EncodeToString(payload)+".AA")
		return err
	}
	for i := range shown {
		if err := show(i); err != nil {
			t.Fatal(err)
		}
	}
	asked, refusal = 0, provision.ErrInvalidAuth // which is not remembered
	for i := range shown {
		_ = show(i) // counts
	}
	if remembered := shown - asked; remembered > room+room/10 { // some are on their way out
		t.Errorf("%d of %d JWTs are remembered, want %d", remembered, shown, room)
	}
}
