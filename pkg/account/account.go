// Package account signs users up and in, and answers who holds an access token (contract: papyrus, sections 2 and 3). Hashing it
// leaves to package password, sessions to package session, tokens to package token.
package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/text"
	"github.com/provisioner/provisioner/pkg/token"
)

// Refusals, beside ErrEmailTaken and those of the packages password and session.
var (
	ErrInvalidEmail       = errors.New("not an email address")
	ErrInvalidDisplayName = errors.New("the display name must be 1 to 100 characters without control characters")
	ErrInvalidCredentials = errors.New("invalid email or password")
	ErrDisabled           = errors.New("the account is disabled")
	ErrSessionEnded       = errors.New("the session of the access token has ended")
)

const (
	maxDisplayNameLen = 100
	maxDeviceLabelLen = 255
)

// Service keeps the accounts of a store.
type Service struct {
	store    Store
	hasher   *password.Hasher
	policy   password.Policy
	sessions *session.Keeper
	tokens   *token.AccessIssuer
	plan     string
	now      func() time.Time
	log      *slog.Logger
}

// Config is what a Service is made of; every field is needed.
type Config struct {
	Store    Store
	Hasher   *password.Hasher
	Policy   password.Policy
	Sessions *session.Keeper
	Tokens   *token.AccessIssuer
	Plan     string // of new accounts
	Now      func() time.Time
	Log      *slog.Logger
}

// New returns a Service.
func New(c Config) *Service {
	return &Service{
		store: c.Store, hasher: c.Hasher, policy: c.Policy, sessions: c.Sessions, tokens: c.Tokens,
		plan: c.Plan, now: c.Now, log: c.Log,
	}
}

// Registration is what a new account is made of.
type Registration struct {
	Email       string
	Password    secret.Text
	DisplayName string // "" takes the part of the e-mail before the @
	Client      session.Client
}

// Grant is a signed-in user with the tokens of the session.
type Grant struct {
	User         User
	AccessToken  secret.Text
	ExpiresAt    time.Time // of the access token
	ExpiresIn    int       // the same as seconds from now
	RefreshToken secret.Text
}

// Register makes an account and signs it in. It returns ErrInvalidEmail, ErrInvalidDisplayName, a *password.WeakError,
// ErrEmailTaken, or ErrInvalidCredentials if the account is deleted meanwhile.
func (s *Service) Register(ctx context.Context, r Registration) (Grant, error) {
	email, ok := NormalizeEmail(r.Email)
	if !ok {
		return Grant{}, ErrInvalidEmail
	}
	if err := s.policy.Check(r.Password, email); err != nil {
		return Grant{}, err
	}
	name, err := displayName(r.DisplayName, email)
	if err != nil {
		return Grant{}, err
	}

	hash, err := s.hasher.Hash(ctx, r.Password)
	if err != nil {
		return Grant{}, err
	}
	now := s.now().UTC()
	user := User{ID: uuid.NewString(), Email: email, DisplayName: name, Plan: s.plan, CreatedAt: now, LastLoginAt: now}
	if err := s.store.CreateUser(ctx, user, hash); err != nil {
		return Grant{}, err
	}
	return s.start(ctx, user, r.Client)
}

// SignIn signs in with e-mail and password. Unknown account, account without a password and wrong password are one error,
// ErrInvalidCredentials, and cost one hash each; only then, for the right password, comes ErrDisabled.
func (s *Service) SignIn(ctx context.Context, email string, pass secret.Text, c session.Client) (Grant, error) {
	user, hash, err := s.credentials(ctx, email)
	if err != nil {
		return Grant{}, err
	}
	ok, rehash, err := s.hasher.Verify(ctx, hash, pass)
	switch {
	case err != nil:
		return Grant{}, err
	case !ok:
		return Grant{}, ErrInvalidCredentials
	case user.Disabled():
		return Grant{}, ErrDisabled
	}

	if rehash {
		s.rehash(ctx, user, hash, pass)
	}
	user.LastLoginAt = s.now().UTC()
	if err := s.store.SignedIn(ctx, user.ID, user.LastLoginAt); err != nil {
		return Grant{}, fmt.Errorf("note sign-in: %w", err)
	}
	return s.start(ctx, user, c)
}

// credentials returns the account of email with its password hash, and no error but an empty hash when there is none.
func (s *Service) credentials(ctx context.Context, email string) (User, string, error) {
	email, ok := NormalizeEmail(email)
	if !ok {
		return User{}, "", nil
	}
	user, err := s.store.UserByEmail(ctx, email)
	if errors.Is(err, ErrNotFound) {
		return User{}, "", nil
	}
	if err != nil {
		return User{}, "", fmt.Errorf("find account: %w", err)
	}
	hash, err := s.store.PasswordHash(ctx, user.ID)
	if err != nil {
		return User{}, "", fmt.Errorf("find password: %w", err)
	}
	return user, hash, nil
}

// rehash brings a password to the present costs. The sign-in does not fail for it.
func (s *Service) rehash(ctx context.Context, user User, old string, pass secret.Text) {
	replacement, err := s.hasher.Hash(ctx, pass)
	if err == nil {
		err = s.store.SetPasswordHash(ctx, user.ID, old, replacement, s.now().UTC())
	}
	if err != nil {
		s.log.WarnContext(ctx, "password not rehashed", "user_id", user.ID, "err", err)
	}
}

func (s *Service) start(ctx context.Context, user User, c session.Client) (Grant, error) {
	c.DeviceLabel = text.Line(c.DeviceLabel, maxDeviceLabelLen)
	started, refresh, err := s.sessions.Start(ctx, user.ID, c)
	if errors.Is(err, session.ErrNotFound) { // the account was deleted meanwhile
		return Grant{}, ErrInvalidCredentials
	}
	if err != nil {
		return Grant{}, err
	}
	return s.grant(user, started, refresh)
}

// Refresh exchanges a refresh token (see [session.Keeper.Refresh]) for new tokens of its session.
func (s *Service) Refresh(ctx context.Context, refreshToken string) (Grant, error) {
	refreshed, next, err := s.sessions.Refresh(ctx, refreshToken)
	if err != nil {
		return Grant{}, err
	}
	user, err := s.store.UserByID(ctx, refreshed.UserID)
	if errors.Is(err, ErrNotFound) || err == nil && user.Disabled() {
		return Grant{}, session.ErrInvalidToken
	}
	if err != nil {
		return Grant{}, fmt.Errorf("find account: %w", err)
	}
	return s.grant(user, refreshed, next)
}

func (s *Service) grant(user User, in session.Session, refresh secret.Text) (Grant, error) {
	access, expires, err := s.tokens.Issue(token.Subject{UserID: user.ID, Email: user.Email, SessionID: in.ID})
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		User: user, AccessToken: access, ExpiresAt: expires, RefreshToken: refresh, ExpiresIn: int(s.tokens.TTL().Seconds()),
	}, nil
}

// Principal is who makes a request.
type Principal struct {
	User      User
	SessionID string
}

// Authenticate returns who holds an access token. It returns an error that wraps token.ErrInvalid, ErrNotFound for an
// account that is gone, ErrDisabled, or ErrSessionEnded.
func (s *Service) Authenticate(ctx context.Context, accessToken string) (Principal, error) {
	subject, err := s.tokens.Verify(accessToken)
	if err != nil {
		return Principal{}, err
	}
	user, err := s.store.UserByID(ctx, subject.UserID)
	if err != nil {
		return Principal{}, err
	}
	if user.Disabled() {
		return Principal{}, ErrDisabled
	}
	switch live, err := s.sessions.Live(ctx, subject.SessionID); {
	case errors.Is(err, session.ErrNotFound) || err == nil && live.UserID != user.ID:
		return Principal{}, ErrSessionEnded
	case err != nil:
		return Principal{}, fmt.Errorf("find session: %w", err)
	}
	return Principal{User: user, SessionID: subject.SessionID}, nil
}

// SignOut ends the sessions in scope, seen from the principal's.
func (s *Service) SignOut(ctx context.Context, p Principal, scope session.Scope) error {
	return s.sessions.Revoke(ctx, p.SessionID, scope)
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
