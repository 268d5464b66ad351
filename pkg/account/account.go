// Package account signs users up and in, keeps their profiles, and answers who holds an access token (contract: papyrus,
// sections 2 and 3). Hashing it leaves to package password, sessions to package session, tokens to package token, mail to
// package mail, and the way to an OpenID provider and back to package oidc.
package account

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/text"
	"github.com/provisioner/provisioner/pkg/token"
)

// Refusals, beside those of a Store and of the packages password and session.
var (
	ErrInvalidEmail       = errors.New("not an email address")
	ErrInvalidDisplayName = errors.New("the display name must be 1 to 100 characters without control characters")
	ErrInvalidAvatar      = errors.New("the avatar must be an https URL of at most 2048 characters")
	ErrInvalidPreferences = errors.New("preferences must be a JSON object of at most 16 KiB")
	ErrInvalidCredentials = errors.New("invalid email or password")
	ErrDisabled           = errors.New("the account is disabled")
	ErrSessionEnded       = errors.New("the session of the access token has ended")
	ErrStaleSession       = errors.New("the sign-in is not fresh enough")
	ErrInvalidToken       = errors.New("the token is unknown, used or expired")
	ErrInvalidCode        = errors.New("the code is unknown, used or expired, or its verifier is wrong")
	ErrForeignCode        = errors.New("the code is another user's")
	ErrMailOff            = errors.New("this server sends no mail")
)

const (
	maxDisplayNameLen = 100
	maxDeviceLabelLen = 255
)

// Outbox takes mail that is to be sent.
type Outbox interface {
	// Enqueue has a mail sent soon, at the same cost for every address.
	Enqueue(ctx context.Context, k mail.Kind, email string) error
	// Wake has mail sent that was enqueued with an account.
	Wake()
}

// Service keeps the accounts of a store.
type Service struct {
	store    Store
	hasher   *password.Hasher
	policy   password.Policy
	sessions *session.Keeper
	tokens   *token.AccessIssuer
	refusals *audit.Refusals
	outbox   Outbox
	plan     string
	now      func() time.Time
	log      *slog.Logger
}

// Config is what a Service is made of; every field but Outbox is needed.
type Config struct {
	Store    Store
	Hasher   *password.Hasher
	Policy   password.Policy
	Sessions *session.Keeper
	Tokens   *token.AccessIssuer
	Refusals *audit.Refusals
	Outbox   Outbox // nil sends no mail
	Plan     string // of new accounts
	Now      func() time.Time
	Log      *slog.Logger
}

// New returns a Service.
func New(c Config) *Service {
	return &Service{
		store: c.Store, hasher: c.Hasher, policy: c.Policy, sessions: c.Sessions, tokens: c.Tokens, refusals: c.Refusals,
		outbox: c.Outbox, plan: c.Plan, now: c.Now, log: c.Log,
	}
}

// CheckPassword returns a *password.WeakError unless pass may be set for the account of email.
func (s *Service) CheckPassword(pass secret.Text, email string) error {
	return s.policy.Check(pass, email)
}

// instant is now, to the microsecond, as the store keeps times.
func (s *Service) instant() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// refuse has a refusal audited, with its like.
func (s *Service) refuse(ctx context.Context, kind audit.Kind, userID string) {
	s.refusals.Add(audit.New(ctx, s.instant(), kind, userID))
}

// entry returns an audit entry of an event now.
func (s *Service) entry(ctx context.Context, kind audit.Kind, userID string) audit.Entry {
	return audit.New(ctx, s.instant(), kind, userID)
}

// NormalizeEmail trims an address and puts it in lower case, and reports whether it has at most 254 bytes, one @ and a dot
// in the domain.
func NormalizeEmail(email string) (string, bool) {
	email = strings.ToLower(strings.TrimSpace(email))
	return email, text.IsEmail(email)
}

// displayName returns name if it may be shown, or the local part of email where there is none.
func displayName(name, email string) (string, error) {
	if name == "" {
		local, _, _ := strings.Cut(email, "@")
		return text.Line(local, maxDisplayNameLen), nil
	}
	if !text.IsLine(name, maxDisplayNameLen) {
		return "", ErrInvalidDisplayName
	}
	return name, nil
}
