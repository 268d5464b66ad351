package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/secret"
)

// powerSyncClaims are exactly the claims of a PowerSync token (contract: papyrus, section 3).
type powerSyncClaims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  string           `json:"aud"`
	Type      string           `json:"type"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	ExpiresAt *jwt.NumericDate `json:"exp"`
}

func (c powerSyncClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.ExpiresAt, nil }
func (c powerSyncClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt, nil }
func (c powerSyncClaims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil } //nolint:nilnil // jwt.Claims wants it so
func (c powerSyncClaims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c powerSyncClaims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c powerSyncClaims) GetAudience() (jwt.ClaimStrings, error) {
	return jwt.ClaimStrings{c.Audience}, nil
}

// Why a PowerSync token is not good; each is an ErrInvalid too.
var (
	ErrExpired  = errors.New("the token has expired")
	ErrAudience = errors.New("the token is for another audience")
	ErrTooLong  = fmt.Errorf("the token is good for more than %v", maxPowerSyncLife)
)

const (
	maxPowerSyncLife = 24 * time.Hour
	powerSyncType    = "powersync"
)

// PowerSyncIssuer issues the RS256 tokens that a PowerSync Service lets a device in with, and verifies them for the embedded one.
type PowerSyncIssuer struct {
	ring     Ring
	issuer   string
	audience string
	ttl      time.Duration
	now      func() time.Time
	parser   *jwt.Parser
}

// NewPowerSyncIssuer returns a PowerSyncIssuer with the keys of ring.
func NewPowerSyncIssuer(ring Ring, issuer, audience string, ttl time.Duration, now func() time.Time) *PowerSyncIssuer {
	return &PowerSyncIssuer{ring: ring, issuer: issuer, audience: audience, ttl: ttl, now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{PowerSync.method().Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), // not WithIssuedAt: replicas' clocks differ
	)}
}

// TTL returns how long a new token lives.
func (p *PowerSyncIssuer) TTL() time.Duration { return p.ttl }

// Issue returns a token for the devices of a user.
func (p *PowerSyncIssuer) Issue(ctx context.Context, userID string) (secret.Text, error) {
	now := p.now().Truncate(time.Second)
	return sign(ctx, p.ring, PowerSync, powerSyncClaims{
		Issuer: p.issuer, Subject: userID, Audience: p.audience, Type: powerSyncType,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(p.ttl)),
	})
}

// Verify returns whose device a token lets in, and until when. It returns an error that wraps ErrInvalid, and with it ErrExpired,
// ErrAudience or ErrTooLong where that is why. The algorithm is the key's, whatever the token says. An outage of the keys is another error.
func (p *PowerSyncIssuer) Verify(ctx context.Context, raw string) (userID string, expires time.Time, err error) {
	var c powerSyncClaims
	if err := parse(ctx, p.parser, p.ring, PowerSync, raw, &c); err != nil {
		return "", time.Time{}, powerSyncFault(err)
	}
	switch {
	case c.Type != powerSyncType || c.Subject == "" || c.IssuedAt == nil:
		return "", time.Time{}, fmt.Errorf("%w: not a PowerSync token", ErrInvalid)
	case c.ExpiresAt.Sub(c.IssuedAt.Time) > maxPowerSyncLife:
		return "", time.Time{}, fmt.Errorf("%w: %w", ErrInvalid, ErrTooLong)
	}
	return c.Subject, c.ExpiresAt.Time, nil
}

// powerSyncFault adds why, where clients are told.
func powerSyncFault(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return fmt.Errorf("%w: %w", ErrExpired, err)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return fmt.Errorf("%w: %w", ErrAudience, err)
	}
	return err
}
