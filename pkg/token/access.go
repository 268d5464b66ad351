// Package token issues and verifies the tokens that are JWTs, and publishes the keys they verify under (contract: papyrus,
// section 3). It does not know whether the session of a token is still alive; package session does.
package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
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
var ErrInvalid = errors.New("invalid access token")

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
	key    *ecdsa.PrivateKey
	keyID  string
	issuer string
	ttl    time.Duration
	now    func() time.Time
	parser *jwt.Parser
}

// NewAccessIssuer returns an AccessIssuer whose tokens name issuer ("{PUBLIC_BASE_URL}/auth/v1") and live for ttl. The key
// must be on the curve P-256.
func NewAccessIssuer(key *ecdsa.PrivateKey, issuer string, ttl time.Duration, now func() time.Time) (*AccessIssuer, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("the access token key is not on the curve P-256")
	}
	keyID, err := thumbprint(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(authenticated),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), // not WithIssuedAt: replicas' clocks differ
	)
	return &AccessIssuer{key: key, keyID: keyID, issuer: issuer, ttl: ttl, now: now, parser: parser}, nil
}

// TTL returns how long a new token lives.
func (a *AccessIssuer) TTL() time.Duration { return a.ttl }

// Issue returns a token that speaks for s, and when it expires.
func (a *AccessIssuer) Issue(s Subject) (secret.Text, time.Time, error) {
	now := a.now().Truncate(time.Second)
	expires := now.Add(a.ttl)
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims{
		Issuer: a.issuer, Audience: authenticated, Role: authenticated,
		Subject: s.UserID, Email: s.Email, SessionID: s.SessionID,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires), ID: uuid.NewString(),
	})
	t.Header["kid"] = a.keyID
	signed, err := t.SignedString(a.key)
	if err != nil {
		return secret.Text{}, time.Time{}, fmt.Errorf("sign access token: %w", err)
	}
	return secret.New(signed), expires, nil
}

// Verify returns whom a token speaks for, or an error that wraps ErrInvalid. The algorithm is the key's, whatever the
// token says.
func (a *AccessIssuer) Verify(raw string) (Subject, error) {
	if len(raw) > MaxLen {
		return Subject{}, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxLen)
	}
	var c claims
	if _, err := a.parser.ParseWithClaims(raw, &c, a.verificationKey); err != nil {
		return Subject{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if c.Role != authenticated || c.Subject == "" || c.SessionID == "" {
		return Subject{}, fmt.Errorf("%w: not an access token", ErrInvalid)
	}
	return Subject{UserID: c.Subject, Email: c.Email, SessionID: c.SessionID}, nil
}

func (a *AccessIssuer) verificationKey(t *jwt.Token) (any, error) {
	if t.Header["kid"] != a.keyID {
		return nil, errors.New("unknown key id")
	}
	return &a.key.PublicKey, nil
}

// ParseAccessKey reads an EC private key on P-256 in PEM, PKCS #8 or SEC 1.
func ParseAccessKey(text secret.Text) (*ecdsa.PrivateKey, error) {
	key, err := jwt.ParseECPrivateKeyFromPEM(text.Bytes())
	if err != nil {
		return nil, errors.New("not an EC private key in PEM") // the cause could quote the text
	}
	return key, nil
}

// NewAccessKey makes a key and returns it as PEM, in PKCS #8.
func NewAccessKey() (secret.Text, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make access token key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode access token key: %w", err)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), nil
}
