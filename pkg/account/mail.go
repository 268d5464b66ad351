package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	verificationLife = 24 * time.Hour
	resetLife        = time.Hour
	secretLen        = 32 // random bytes of a code or token
)

// newSecret returns a new code or token, URL-safe, and the hash that is kept of it.
func newSecret() (secret.Text, [sha256.Size]byte) {
	var random [secretLen]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand.Read ends the program instead
	s := base64.RawURLEncoding.EncodeToString(random[:])
	return secret.New(s), sha256.Sum256([]byte(s))
}

// RequestMail has a mail sent to an address, if it turns out to be an account's. It does the same for every address. It returns
// ErrInvalidEmail, or ErrMailOff.
func (s *Service) RequestMail(ctx context.Context, kind mail.Kind, email string) error {
	email, ok := NormalizeEmail(email)
	switch {
	case !ok:
		return ErrInvalidEmail
	case s.outbox == nil:
		return ErrMailOff
	}
	return s.outbox.Enqueue(ctx, kind, email)
}

// VerifyEmail notes that whoever has the token reads the account's mail. It returns ErrInvalidToken.
func (s *Service) VerifyEmail(ctx context.Context, token string) error {
	err := s.store.VerifyEmail(ctx, sha256.Sum256([]byte(token)), s.entry(ctx, audit.EmailVerified, ""))
	if errors.Is(err, ErrNotFound) {
		s.refuse(ctx, audit.VerificationRefused, "")
		return ErrInvalidToken
	}
	return err
}

// ResetPassword sets the password of the account whose mail held the token, and ends all its sessions. It returns ErrInvalidToken,
// or a *password.WeakError, after which the token is still good.
func (s *Service) ResetPassword(ctx context.Context, token string, pass secret.Text) error {
	digest := sha256.Sum256([]byte(token))
	user, err := s.store.ActionUser(ctx, mail.KindResetPassword, digest, s.instant())
	if errors.Is(err, ErrNotFound) {
		s.refuse(ctx, audit.ResetRefused, "")
		return ErrInvalidToken
	}
	if err != nil {
		return fmt.Errorf("find token: %w", err)
	}
	if err := s.policy.Check(pass, user.Email); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, pass)
	if err != nil {
		return err
	}
	err = s.store.ResetPassword(ctx, digest, hash, s.entry(ctx, audit.ResetDone, user.ID))
	if errors.Is(err, ErrNotFound) {
		s.refuse(ctx, audit.ResetRefused, "")
		return ErrInvalidToken
	}
	return err
}

// Composer writes the accounts' mail, with the tokens that it makes for it. It implements [mail.Composer].
type Composer struct {
	store  Store
	appURL string
	now    func() time.Time
}

// NewComposer returns a Composer whose links lead to the pages of the app at appURL.
func NewComposer(store Store, appURL string, now func() time.Time) *Composer {
	return &Composer{store: store, appURL: appURL, now: now}
}

// Compose implements [mail.Composer].
func (c *Composer) Compose(ctx context.Context, j mail.Job) (mail.Message, error) {
	user, err := c.store.UserByEmail(ctx, j.Email)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && user.Disabled():
		return mail.Message{}, mail.ErrNoRecipient
	case err != nil:
		return mail.Message{}, fmt.Errorf("find account: %w", err)
	}
	switch j.Kind {
	case mail.KindVerifyEmail:
		if user.EmailVerified {
			return mail.Message{}, mail.ErrNoRecipient
		}
		return c.compose(ctx, user, j.Kind, verificationLife, audit.VerificationSent, mail.VerifyEmail)
	case mail.KindResetPassword:
		return c.compose(ctx, user, j.Kind, resetLife, audit.ResetRequested, mail.ResetPassword)
	}
	return mail.Message{}, fmt.Errorf("compose mail: unknown kind %q", j.Kind)
}

func (c *Composer) compose(
	ctx context.Context, user User, kind mail.Kind, life time.Duration, requested audit.Kind,
	write func(to, appBaseURL string, token secret.Text) (mail.Message, error),
) (mail.Message, error) {
	token, digest := newSecret()
	now := c.now().UTC()
	kept := ActionToken{ID: uuid.NewString(), UserID: user.ID, Kind: kind, Hash: digest, CreatedAt: now, ExpiresAt: now.Add(life)}
	err := c.store.CreateActionToken(ctx, kept, audit.New(ctx, now, requested, user.ID))
	if errors.Is(err, ErrNotFound) {
		return mail.Message{}, mail.ErrNoRecipient
	}
	if err != nil {
		return mail.Message{}, fmt.Errorf("keep token: %w", err)
	}
	return write(user.Email, c.appURL, token)
}
