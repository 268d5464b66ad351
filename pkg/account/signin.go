package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/text"
	"github.com/provisioner/provisioner/pkg/token"
)

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

// Register makes an account, signs it in, and has the mail sent that verifies its address. It returns ErrInvalidEmail,
// ErrInvalidDisplayName, a *password.WeakError, or ErrEmailTaken.
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
	user := s.newUser(email, name)
	begun, refresh := s.begin(user.ID, r.Client)
	user.LastLoginAt = begun.CreatedAt
	added := s.entry(ctx, audit.Registered, user.ID)
	added.SessionID = begun.ID
	err = s.store.CreateUser(ctx, Addition{User: user, PasswordHash: hash, Session: &begun, Mail: s.verification(user), Audit: added})
	switch {
	case errors.Is(err, ErrEmailTaken):
		s.refuse(ctx, audit.RegistrationRefused, "")
		return Grant{}, err
	case err != nil:
		return Grant{}, err
	}
	s.wake()
	return s.grant(ctx, user, begun, refresh)
}

func (s *Service) newUser(email, name string) User {
	return User{ID: uuid.NewString(), Email: email, DisplayName: name, Plan: s.plan, CreatedAt: s.instant()}
}

// verification returns the mail that verifies the address of a new account, nil where none is sent.
func (s *Service) verification(u User) *mail.Job {
	if s.outbox == nil || u.EmailVerified {
		return nil
	}
	return &mail.Job{ID: uuid.NewString(), Kind: mail.KindVerifyEmail, Email: u.Email, CreatedAt: u.CreatedAt, NextTryAt: u.CreatedAt}
}

func (s *Service) wake() {
	if s.outbox != nil {
		s.outbox.Wake()
	}
}

// SignIn signs in with e-mail and password. Unknown account, account without a password and wrong password are one error,
// ErrInvalidCredentials, and cost one look-up and one hash each; only then, for the right password, comes ErrDisabled.
func (s *Service) SignIn(ctx context.Context, email string, pass secret.Text, c session.Client) (Grant, error) {
	grant, err := s.trySignIn(ctx, email, pass, c)
	if errors.Is(err, ErrChanged) { // by its owner, or by a sign-in at the same time that hashed it anew: judge it once more
		grant, err = s.trySignIn(ctx, email, pass, c)
	}
	if errors.Is(err, ErrChanged) {
		return Grant{}, ErrInvalidCredentials
	}
	return grant, err
}

func (s *Service) trySignIn(ctx context.Context, email string, pass secret.Text, c session.Client) (Grant, error) {
	user, hash, err := s.credentials(ctx, email)
	if err != nil {
		return Grant{}, err
	}
	ok, rehash, err := s.hasher.Verify(ctx, hash, pass)
	switch {
	case err != nil:
		return Grant{}, err
	case !ok:
		s.refuse(ctx, audit.SignInRefused, user.ID)
		return Grant{}, ErrInvalidCredentials
	case user.Disabled():
		s.refuse(ctx, audit.SignInRefused, user.ID)
		return Grant{}, ErrDisabled
	}
	grant, err := s.signIn(ctx, user, Proof{PasswordHash: hash}, c)
	if err == nil && rehash {
		s.rehash(ctx, user, hash, pass)
	}
	return grant, err
}

// credentials returns the account of email with its password hash, and no error but an empty hash when there is none. An
// address that nobody can have is looked up like any other.
func (s *Service) credentials(ctx context.Context, email string) (User, string, error) {
	email, _ = NormalizeEmail(email)
	user, hash, err := s.store.Credentials(ctx, email)
	if errors.Is(err, ErrNotFound) {
		return User{}, "", nil
	}
	if err != nil {
		return User{}, "", fmt.Errorf("find account: %w", err)
	}
	return user, hash, nil
}

// rehash brings a password to the present costs. The sign-in does not fail for it.
func (s *Service) rehash(ctx context.Context, user User, old string, pass secret.Text) {
	replacement, err := s.hasher.Hash(ctx, pass)
	if err == nil {
		err = s.store.SetPasswordHash(ctx, user.ID, old, replacement, s.instant())
	}
	if err != nil {
		s.log.WarnContext(ctx, "password not rehashed", "user_id", user.ID, "err", err)
	}
}

// signIn begins a session of a user who has proved to be that.
func (s *Service) signIn(ctx context.Context, user User, by Proof, c session.Client) (Grant, error) {
	begun, refresh := s.begin(user.ID, c)
	user.LastLoginAt = begun.CreatedAt
	signedIn := s.entry(ctx, audit.SignedIn, user.ID)
	signedIn.SessionID = begun.ID
	if by.Identity != nil {
		signedIn.Detail = by.Identity.Provider
	}
	err := s.store.SignIn(ctx, begun, by, signedIn)
	if errors.Is(err, ErrNotFound) { // deleted or disabled meanwhile
		return Grant{}, ErrInvalidCredentials
	}
	if err != nil {
		return Grant{}, fmt.Errorf("sign in: %w", err)
	}
	return s.grant(ctx, user, begun, refresh)
}

func (s *Service) begin(userID string, c session.Client) (session.Session, secret.Text) {
	if !text.IsLine(c.DeviceLabel, maxDeviceLabelLen) { // a User-Agent may be any text
		c.DeviceLabel = text.Line(c.DeviceLabel, maxDeviceLabelLen)
	}
	return s.sessions.New(userID, c)
}

func (s *Service) grant(ctx context.Context, user User, in session.Session, refresh secret.Text) (Grant, error) {
	access, expires, err := s.tokens.Issue(ctx, token.Subject{UserID: user.ID, Email: user.Email, SessionID: in.ID})
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		User: user, AccessToken: access, ExpiresAt: expires, RefreshToken: refresh, ExpiresIn: int(s.tokens.TTL().Seconds()),
	}, nil
}
