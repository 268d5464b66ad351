package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/provisioner/provisioner/pkg/text"
)

const (
	exchangeTimeout = 8 * time.Second // for all calls of one exchange
	clockSkew       = 5 * time.Minute // between the provider and us
	maxIDTokenLen   = 16 << 10        // looked at before anything is parsed

	maxSubjectLen = 255 // OpenID Connect Core 1.0 §2
	maxNameLen    = 100 // code points: that of a display name
	maxPictureLen = 2048
)

// Identity is who somebody is at the provider. Only Subject says so: all else may change, and may belong to another later.
type Identity struct {
	Subject       string // 1 to 255 printable ASCII characters, never reassigned by the provider
	Email         string // as the provider writes it; "" if it gives none
	EmailVerified bool   // whether the provider says that the e-mail is the user's
	Name          string // at most 100 code points, without control characters; may be ""
	Picture       string // an https URL of at most 2048 bytes, or ""
}

// claims are what we read of an ID token beside what the library checks, and of a UserInfo answer (OpenID Connect Core 1.0 §5.1).
type claims struct {
	AuthorizedParty string `json:"azp"`
	Email           string `json:"email"`
	EmailVerified   truth  `json:"email_verified"`
	Name            string `json:"name"`
	Picture         string `json:"picture"`
}

// truth is a boolean that some providers send as a string. Whatever is not clearly true is false.
type truth bool

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (t *truth) UnmarshalJSON(raw []byte) error {
	*t = string(raw) == `true` || string(raw) == `"true"`
	return nil
}

// exchange redeems an authorization code and returns whom its ID token is about.
func (p *Provider) exchange(ctx context.Context, code, verifier, nonce string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	m, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}

	ctx = gooidc.ClientContext(ctx, p.client)
	token, err := p.redeem(ctx, m, code, verifier)
	if err != nil {
		return Identity{}, fmt.Errorf("redeem the code: %w", brief(err))
	}
	idToken, err := p.verify(ctx, m, token)
	if err != nil {
		return Identity{}, fmt.Errorf("verify the ID token: %w", brief(err))
	}
	var c claims
	if err := idToken.Claims(&c); err != nil {
		return Identity{}, fmt.Errorf("read the ID token: %w", brief(err))
	}
	if err := p.check(idToken, c, nonce); err != nil {
		return Identity{}, fmt.Errorf("check the ID token: %w", err)
	}
	if c.Email == "" && m.UserInfoEndpoint() != "" {
		if c, err = userInfo(ctx, m, token, idToken.Subject); err != nil {
			return Identity{}, fmt.Errorf("ask who the user is: %w", brief(err))
		}
	}
	return newIdentity(idToken.Subject, c), nil
}

// redeem sends the code to the token endpoint. Only where that does not know us by the standard's way, so that the code is
// not spent, it tries the other.
func (p *Provider) redeem(ctx context.Context, m *metadata, code, verifier string) (token *oauth2.Token, err error) {
	for _, style := range m.authStyles() {
		token, err = p.oauth(m, style).Exchange(ctx, code, oauth2.VerifierOption(verifier))
		if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refusal.ErrorCode != "invalid_client" {
			return token, err
		}
	}
	return nil, err
}

// verify returns the ID token of an answer, if it is of this provider, for us, signed and not expired.
func (p *Provider) verify(ctx context.Context, m *metadata, token *oauth2.Token) (*gooidc.IDToken, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || len(raw) > maxIDTokenLen {
		return nil, errors.New("missing or too long")
	}
	verifier := m.Verifier(&gooidc.Config{ClientID: p.config.ClientID, SupportedSigningAlgs: algorithms, Now: p.config.Now})
	return verifier.Verify(ctx, raw)
}

// check does what the library leaves to us (OpenID Connect Core 1.0 §3.1.3.7).
func (p *Provider) check(t *gooidc.IDToken, c claims, nonce string) error {
	age := p.config.Now().Sub(t.IssuedAt)
	switch {
	case subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1:
		return errors.New("the nonce is missing or of another sign-in")
	case c.AuthorizedParty == "" && len(t.Audience) > 1:
		return errors.New("several audiences and no authorized party")
	case c.AuthorizedParty != "" && c.AuthorizedParty != p.config.ClientID:
		return errors.New("another party is authorized")
	case age < -clockSkew:
		return errors.New("issued in the future")
	case age > stateLife+clockSkew: // it cannot be older than its nonce
		return errors.New("issued too long ago, or never")
	case !text.IsPrintableASCII(t.Subject, maxSubjectLen):
		return errors.New("the subject is empty, too long or not ASCII")
	}
	return nil
}

// userInfo asks for the claims of a provider that leaves the e-mail out of its ID tokens. They must be about the same user
// (OpenID Connect Core 1.0 §5.3.2).
func userInfo(ctx context.Context, m *metadata, token *oauth2.Token, subject string) (claims, error) {
	info, err := m.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return claims{}, err
	}
	if info.Subject != subject {
		return claims{}, errors.New("the answer is about another user")
	}
	var c claims
	err = info.Claims(&c)
	return c, err
}

// newIdentity keeps of the claims what has the form it should have.
func newIdentity(subject string, c claims) Identity {
	i := Identity{Subject: subject}
	if text.IsEmail(c.Email) {
		i.Email, i.EmailVerified = c.Email, bool(c.EmailVerified)
	}
	name := []rune(strings.TrimSpace(text.Line(c.Name, maxIDTokenLen)))
	i.Name = string(name[:min(len(name), maxNameLen)])
	if u, err := url.Parse(c.Picture); err == nil && u.Scheme == "https" && u.Host != "" && len(c.Picture) <= maxPictureLen {
		i.Picture = c.Picture
	}
	return i
}
