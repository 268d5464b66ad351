package supabase

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	audience   = "authenticated"
	maxJWTLen  = 4096 // before anything parses it
	jwksPath   = "/auth/v1/.well-known/jwks.json"
	issuerPath = "/auth/v1"
)

// SecretValidator validates JWTs that the project signs with its shared secret (HS256), without asking the provider: it does not
// see revocation before the JWT expires.
type SecretValidator struct {
	secret secret.Text
	parser *jwt.Parser
}

// NewSecretValidator returns a SecretValidator of JWTs by issuer; "" means the one of the project at baseURL. An unset secret
// validates nothing.
func NewSecretValidator(shared secret.Text, baseURL, issuer string, now func() time.Time) *SecretValidator {
	return &SecretValidator{secret: shared, parser: newParser(issuerOf(baseURL, issuer), now, jwt.SigningMethodHS256.Alg())}
}

// Validate implements [provision.Validator].
func (v *SecretValidator) Validate(_ context.Context, raw string) (provision.Identity, error) {
	return validate(v.parser, raw, func(*jwt.Token) (any, error) {
		if !v.secret.IsSet() {
			return nil, errors.New("there is no secret to validate with")
		}
		return v.secret.Bytes(), nil
	})
}

// JWKSValidator validates JWTs against the project's published keys, without asking the provider about each: it does not see
// revocation before the JWT expires.
type JWKSValidator struct {
	keys   *keySet
	parser *jwt.Parser
}

// NewJWKSValidator returns a JWKSValidator of JWTs by issuer; "" means the one of the project at baseURL. The keys are
// fetched when a JWT first needs them.
func NewJWKSValidator(baseURL, issuer string, transport http.RoundTripper, now func() time.Time) *JWKSValidator {
	return &JWKSValidator{
		keys:   newKeySet(strings.TrimSuffix(baseURL, "/")+jwksPath, transport, now),
		parser: newParser(issuerOf(baseURL, issuer), now, algES256, algRS256, algEdDSA),
	}
}

// Validate implements [provision.Validator].
func (v *JWKSValidator) Validate(ctx context.Context, raw string) (provision.Identity, error) {
	who, err := validate(v.parser, raw, func(t *jwt.Token) (any, error) { return v.keys.verifying(ctx, t) })
	if errors.Is(err, errFetchKeys) {
		return provision.Identity{}, unreachable(err)
	}
	return who, err
}

// newParser returns a parser that checks what every JWT of a user has: expiry, start, issuer and audience.
func newParser(issuer string, now func() time.Time, algorithms ...string) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods(algorithms),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now),
	)
}

func validate(parser *jwt.Parser, raw string, key jwt.Keyfunc) (provision.Identity, error) {
	if len(raw) > maxJWTLen {
		return provision.Identity{}, provision.ErrInvalidAuth.With(errors.New("longer than any JWT of ours"))
	}
	var claims jwt.RegisteredClaims
	if _, err := parser.ParseWithClaims(raw, &claims, key); err != nil {
		return provision.Identity{}, provision.ErrInvalidAuth.With(err)
	}
	if claims.Subject == "" {
		return provision.Identity{}, provision.ErrInvalidAuth.With(errors.New("the JWT has no subject"))
	}
	return provision.Identity{UserID: claims.Subject}, nil
}

func issuerOf(baseURL, issuer string) string {
	if issuer != "" {
		return issuer
	}
	return strings.TrimSuffix(baseURL, "/") + issuerPath
}
