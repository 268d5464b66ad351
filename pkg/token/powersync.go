package token

import (
	"context"
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

// PowerSyncIssuer issues the RS256 tokens that a PowerSync Service lets a device in with.
type PowerSyncIssuer struct {
	ring     Ring
	issuer   string
	audience string
	ttl      time.Duration
	now      func() time.Time
}

// NewPowerSyncIssuer returns a PowerSyncIssuer with the keys of ring.
func NewPowerSyncIssuer(ring Ring, issuer, audience string, ttl time.Duration, now func() time.Time) *PowerSyncIssuer {
	return &PowerSyncIssuer{ring: ring, issuer: issuer, audience: audience, ttl: ttl, now: now}
}

// TTL returns how long a new token lives.
func (p *PowerSyncIssuer) TTL() time.Duration { return p.ttl }

// Issue returns a token for the devices of a user.
func (p *PowerSyncIssuer) Issue(ctx context.Context, userID string) (secret.Text, error) {
	now := p.now().Truncate(time.Second)
	return sign(ctx, p.ring, PowerSync, powerSyncClaims{
		Issuer: p.issuer, Subject: userID, Audience: p.audience, Type: "powersync",
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(p.ttl)),
	})
}
