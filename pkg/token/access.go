// Package token issues and verifies the tokens that are JWTs, and publishes the keys they verify under (contract: papyrus,
// section 3). It does not know whether the session of a token is still alive; package session does.
package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/secret"
)

// MaxLen is the length of the longest token that is looked at: parsing comes after.
const MaxLen = 4096

// authenticated is the audience and the role of every access token, as Supabase has them.
const authenticated = "authenticated"

// ErrInvalid means that a token is malformed, expired, made by another key, or made for something else.
var ErrInvalid = errors.New("invalid token")

// Subject is whom an access token speaks for.
type Subject struct {
	UserID    string
	Email     string
	SessionID string
}

// claims are the claims of an access token. Its audience is a string, where golang-jwt's own would be an array.
type claims struct {
	Issuer    string           `json:"iss"`
	Audience  string           `json:"aud"`
	Role      string           `json:"role"`
	Subject   string           `json:"sub"`
	Email     string           `json:"email"`
	SessionID string           `json:"session_id"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	ExpiresAt *jwt.NumericDate `json:"exp"`
	ID        string           `json:"jti"`
}

func (c claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.ExpiresAt, nil }
func (c claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt, nil }
func (c claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil } //nolint:nilnil // jwt.Claims wants it so
func (c claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{c.Audience}, nil }

// AccessIssuer issues ES256 access tokens and verifies them.
type AccessIssuer struct {
	ring   Ring
	issuer string
	ttl    time.Duration
	now    func() time.Time
	parser *jwt.Parser
}

// NewAccessIssuer returns an AccessIssuer with the keys of ring, whose tokens name issuer ("{PUBLIC_BASE_URL}/auth/v1") and
// live for ttl.
func NewAccessIssuer(ring Ring, issuer string, ttl time.Duration, now func() time.Time) *AccessIssuer {
	return &AccessIssuer{ring: ring, issuer: issuer, ttl: ttl, now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{Access.method().Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(authenticated),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), // not WithIssuedAt: replicas' clocks differ
	)}
}

// TTL returns how long a new token lives.
func (a *AccessIssuer) TTL() time.Duration { return a.ttl }

// Issue returns a token that speaks for s, and when it expires.
func (a *AccessIssuer) Issue(ctx context.Context, s Subject) (secret.Text, time.Time, error) {
	now := a.now().Truncate(time.Second)
	expires := now.Add(a.ttl)
	signed, err := sign(ctx, a.ring, Access, claims{
		Issuer: a.issuer, Audience: authenticated, Role: authenticated,
		Subject: s.UserID, Email: s.Email, SessionID: s.SessionID,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires), ID: uuid.NewString(),
	})
	return signed, expires, err
}

// sign returns a JWT of claims under the key of ring that signs now.
func sign(ctx context.Context, ring Ring, u Use, c jwt.Claims) (secret.Text, error) {
	key, err := ring.Signing(ctx)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%s key: %w", u, err)
	}
	t := jwt.NewWithClaims(u.method(), c)
	t.Header["kid"] = key.ID
	signed, err := t.SignedString(key.Private)
	if err != nil {
		return secret.Text{}, fmt.Errorf("sign %s token: %w", u, err)
	}
	return secret.New(signed), nil
}

// Verify returns whom a token speaks for, or an error that wraps ErrInvalid. The algorithm is the key's, whatever the
// token says. An outage of the keys is another error.
func (a *AccessIssuer) Verify(ctx context.Context, raw string) (Subject, error) {
	var c claims
	if err := parse(ctx, a.parser, a.ring, Access, raw, &c); err != nil {
		return Subject{}, err
	}
	if c.Role != authenticated || c.Subject == "" || c.SessionID == "" {
		return Subject{}, fmt.Errorf("%w: not an access token", ErrInvalid)
	}
	return Subject{UserID: c.Subject, Email: c.Email, SessionID: c.SessionID}, nil
}

// parse reads the claims of a token of a use, and checks what parser does. It returns an error that wraps ErrInvalid, or that of an outage
// of the keys.
func parse(ctx context.Context, parser *jwt.Parser, ring Ring, u Use, raw string, c jwt.Claims) error {
	if len(raw) > MaxLen {
		return fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxLen)
	}
	var outage error
	_, err := parser.ParseWithClaims(raw, c, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		key, err := ring.ByID(ctx, id)
		if err != nil && !errors.Is(err, ErrUnknownKey) {
			outage = err
		}
		return key.Public, err
	})
	switch {
	case outage != nil:
		return fmt.Errorf("verify %s token: %w", u, outage)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
