package supabase

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
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

// NewSecretValidator returns a SecretValidator of JWTs by issuer; "" means the one of the project at baseURL.
func NewSecretValidator(shared secret.Text, baseURL, issuer string, now func() time.Time) *SecretValidator {
	return &SecretValidator{secret: shared, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuerOf(baseURL, issuer)), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now),
	)}
}

// Validate implements [provision.Validator].
func (v *SecretValidator) Validate(_ context.Context, raw string) (provision.Identity, error) {
	if len(raw) > maxJWTLen {
		return provision.Identity{}, provision.ErrInvalidAuth.With(errors.New("longer than any JWT of ours"))
	}
	var claims jwt.RegisteredClaims
	_, err := v.parser.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return v.secret.Bytes(), nil })
	if err != nil {
		return provision.Identity{}, provision.ErrInvalidAuth.With(err)
	}
	return subject(claims.Subject)
}

// JWKSValidator validates JWTs against the project's published keys, without asking the provider about each: it does not see
// revocation before the JWT expires.
type JWKSValidator struct {
	verifier *oidc.IDTokenVerifier
}

// NewJWKSValidator returns a JWKSValidator of JWTs by issuer; "" means the one of the project at baseURL. The keys are
// fetched when a JWT first needs them.
func NewJWKSValidator(baseURL, issuer string, transport http.RoundTripper, now func() time.Time) *JWKSValidator {
	client := &http.Client{Transport: transport, Timeout: callTimeout}
	base := strings.TrimSuffix(baseURL, "/")
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), base+jwksPath)
	return &JWKSValidator{verifier: oidc.NewVerifier(issuerOf(baseURL, issuer), keys, &oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256, oidc.EdDSA},
		Now:                  now,
	})}
}

// Validate implements [provision.Validator].
func (v *JWKSValidator) Validate(ctx context.Context, raw string) (provision.Identity, error) {
	if len(raw) > maxJWTLen {
		return provision.Identity{}, provision.ErrInvalidAuth.With(errors.New("longer than any JWT of ours"))
	}
	token, err := v.verifier.Verify(ctx, raw)
	switch {
	case err == nil:
		return subject(token.Subject)
	case strings.Contains(err.Error(), "fetching keys"): // the library has no type for it
		return provision.Identity{}, unreachable(fmt.Errorf("fetch JWKS: %w", withoutURL(err)))
	}
	return provision.Identity{}, provision.ErrInvalidAuth.With(err)
}

func issuerOf(baseURL, issuer string) string {
	if issuer != "" {
		return issuer
	}
	return strings.TrimSuffix(baseURL, "/") + issuerPath
}

func subject(sub string) (provision.Identity, error) {
	if sub == "" {
		return provision.Identity{}, provision.ErrInvalidAuth.With(errors.New("the JWT has no subject"))
	}
	return provision.Identity{UserID: sub}, nil
}
