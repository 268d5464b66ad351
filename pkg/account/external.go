package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

// Provider is the name of the one OpenID provider in identities, as in the paths of the API.
const Provider = "google"

const codeLife = time.Minute

// AdmitIdentity takes who came back from the provider, and returns the code that the app exchanges for a session. Who comes
// for the first time gets an account. An account is never found by its e-mail: ErrEmailTaken says that somebody has
// one, ErrDisabled that the identity's is disabled, and ErrInvalidEmail that the provider vouches for no address.
func (s *Service) AdmitIdentity(ctx context.Context, at oidc.Outcome) (secret.Text, error) {
	code, kept := s.newCode(ToSignIn, at.CodeChallenge)
	err := s.admitKnown(ctx, at.Identity, kept)
	if !errors.Is(err, ErrNotFound) {
		return code, err
	}
	err = s.adopt(ctx, at.Identity, kept)
	if errors.Is(err, ErrEmailTaken) || errors.Is(err, ErrIdentityTaken) {
		// Somebody has the address, unless this identity itself was admitted at the same time.
		if again := s.admitKnown(ctx, at.Identity, kept); !errors.Is(again, ErrNotFound) {
			return code, again
		}
		s.refuse(ctx, audit.IdentityRefused, "")
	}
	return code, err
}

// admitKnown keeps the code for the account of an identity, ErrNotFound if it has none.
func (s *Service) admitKnown(ctx context.Context, i oidc.Identity, code ExchangeCode) error {
	user, err := s.store.UserByIdentity(ctx, Provider, i.Subject)
	if err != nil {
		return err
	}
	if user.Disabled() {
		s.refuse(ctx, audit.SignInRefused, user.ID)
		return ErrDisabled
	}
	code.UserID, code.Identity = user.ID, s.identity(user.ID, i)
	return s.store.CreateExchangeCode(ctx, code)
}

// adopt makes an account for an identity, with the code for its first session.
func (s *Service) adopt(ctx context.Context, i oidc.Identity, code ExchangeCode) error {
	email, ok := NormalizeEmail(i.Email)
	if !ok || !i.EmailVerified {
		return ErrInvalidEmail
	}
	name, err := displayName(i.Name, email)
	if err != nil {
		return err
	}
	user := s.newUser(email, name)
	user.EmailVerified = true
	if IsAvatar(i.Picture) {
		user.AvatarURL = i.Picture
	}
	code.UserID = user.ID
	identity := s.identity(user.ID, i)
	added := s.entry(ctx, audit.Registered, user.ID)
	added.Detail = Provider
	return s.store.CreateUser(ctx, Addition{User: user, Identity: identity, Code: &code, Audit: added})
}

func (s *Service) identity(userID string, i oidc.Identity) *Identity {
	now := s.instant()
	return &Identity{
		ID: uuid.NewString(), UserID: userID, Provider: Provider, Subject: i.Subject,
		Email: i.Email, EmailVerified: i.EmailVerified, CreatedAt: now, LastUsedAt: now,
	}
}

func (s *Service) newCode(p Purpose, challenge string) (secret.Text, ExchangeCode) {
	code, digest := newSecret()
	return code, ExchangeCode{Hash: digest, Purpose: p, Challenge: challenge, ExpiresAt: s.instant().Add(codeLife)}
}

// OfferIdentity returns the code with which the user who began to link an identity completes it.
func (s *Service) OfferIdentity(ctx context.Context, at oidc.Outcome) (secret.Text, error) {
	code, kept := s.newCode(ToLink, at.CodeChallenge)
	kept.UserID, kept.Identity = at.UserID, s.identity(at.UserID, at.Identity)
	return code, s.store.CreateExchangeCode(ctx, kept)
}

// Exchange signs in with a code of AdmitIdentity. It returns ErrInvalidCode for every code that gives nothing; whatever
// comes of it, the code is spent.
func (s *Service) Exchange(ctx context.Context, code, verifier string, c session.Client) (Grant, error) {
	taken, err := s.take(ctx, code, verifier, ToSignIn)
	if err != nil {
		return Grant{}, err
	}
	user, err := s.store.UserByID(ctx, taken.UserID)
	if errors.Is(err, ErrNotFound) || err == nil && user.Disabled() {
		return Grant{}, ErrInvalidCode
	}
	if err != nil {
		return Grant{}, fmt.Errorf("find account: %w", err)
	}
	grant, err := s.signIn(ctx, user, Proof{Identity: taken.Identity}, c)
	if errors.Is(err, ErrInvalidCredentials) {
		return Grant{}, ErrInvalidCode
	}
	return grant, err
}

// LinkIdentity gives the principal the identity of a code of OfferIdentity. It returns ErrInvalidCode, ErrForeignCode for
// another user's, or ErrIdentityTaken; whatever comes of it, the code is spent.
func (s *Service) LinkIdentity(ctx context.Context, p Principal, code, verifier string) (User, error) {
	taken, err := s.take(ctx, code, verifier, ToLink)
	switch {
	case err != nil:
		return User{}, err
	case taken.UserID != p.UserID:
		s.refuse(ctx, audit.IdentityRefused, p.UserID)
		return User{}, ErrForeignCode
	case taken.Identity == nil:
		return User{}, ErrInvalidCode
	}
	linked := s.entry(ctx, audit.IdentityLinked, p.UserID)
	linked.SessionID, linked.Detail = p.SessionID, Provider
	err = s.store.LinkIdentity(ctx, *taken.Identity, linked)
	if errors.Is(err, ErrIdentityTaken) {
		s.refuse(ctx, audit.IdentityRefused, p.UserID)
	}
	if err != nil {
		return User{}, err
	}
	return s.User(ctx, p)
}

// take spends a code. The verifier must be the one of the code's challenge, and none where it has none.
func (s *Service) take(ctx context.Context, code, verifier string, p Purpose) (ExchangeCode, error) {
	taken, err := s.store.TakeExchangeCode(ctx, sha256.Sum256([]byte(code)), s.instant())
	switch {
	case errors.Is(err, ErrNotFound):
		s.refuse(ctx, audit.IdentityRefused, "")
		return ExchangeCode{}, ErrInvalidCode
	case err != nil:
		return ExchangeCode{}, fmt.Errorf("take code: %w", err)
	case taken.Purpose != p || !oidc.CheckVerifier(taken.Challenge, verifier):
		s.refuse(ctx, audit.IdentityRefused, taken.UserID)
		return ExchangeCode{}, ErrInvalidCode
	}
	return taken, nil
}
