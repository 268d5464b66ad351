package account

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/strictjson"
	"github.com/provisioner/provisioner/pkg/text"
)

const (
	maxAvatarLen      = 2048
	maxPreferencesLen = 16 << 10
	freshness         = 5 * time.Minute // of the sign-in that may delete an account without a password
)

// User returns the principal's account, ErrNotFound if it was deleted meanwhile.
func (s *Service) User(ctx context.Context, p Principal) (User, error) {
	return s.store.UserByID(ctx, p.UserID)
}

// Identities returns the principal's users at OpenID providers.
func (s *Service) Identities(ctx context.Context, p Principal) ([]Identity, error) {
	return s.store.Identities(ctx, p.UserID)
}

// HasPassword reports whether the principal can sign in with a password.
func (s *Service) HasPassword(ctx context.Context, p Principal) (bool, error) {
	hash, err := s.store.PasswordHash(ctx, p.UserID)
	return hash != "", err
}

// UpdateProfile changes the principal's profile. It returns ErrInvalidDisplayName or ErrInvalidAvatar.
func (s *Service) UpdateProfile(ctx context.Context, p Principal, c ProfileChange) (User, error) {
	if c.DisplayName != nil && !text.IsLine(*c.DisplayName, maxDisplayNameLen) {
		return User{}, ErrInvalidDisplayName
	}
	if c.AvatarURL != nil && *c.AvatarURL != "" && !IsAvatar(*c.AvatarURL) {
		return User{}, ErrInvalidAvatar
	}
	return s.store.UpdateProfile(ctx, p.UserID, c)
}

// IsAvatar reports whether s is an https URL that may be shown as a picture.
func IsAvatar(s string) bool {
	if !text.IsPrintableASCII(s, maxAvatarLen) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

// Preferences returns the principal's preferences as a JSON object.
func (s *Service) Preferences(ctx context.Context, p Principal) ([]byte, error) {
	object, err := s.store.Preferences(ctx, p.UserID)
	if err == nil && object == nil {
		object = []byte(`{}`)
	}
	return object, err
}

// SetPreferences replaces the principal's preferences. It returns ErrInvalidPreferences for what is no JSON object, or too long.
func (s *Service) SetPreferences(ctx context.Context, p Principal, object []byte) error {
	if len(object) > maxPreferencesLen || strictjson.UnmarshalObject(object, &struct{}{}) != nil {
		return ErrInvalidPreferences
	}
	return s.store.SetPreferences(ctx, p.UserID, object)
}

// ChangePassword sets a new password and ends the principal's other sessions. It returns ErrInvalidCredentials for a wrong
// current password, or a *password.WeakError.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, replacement secret.Text) error {
	user, err := s.User(ctx, p)
	if err != nil {
		return err
	}
	if err := s.policy.Check(replacement, user.Email); err != nil {
		return err
	}
	old, err := s.prove(ctx, p, current)
	if err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, replacement)
	if err != nil {
		return err
	}
	changed := s.entry(ctx, audit.PasswordChanged, p.UserID)
	changed.SessionID = p.SessionID
	return s.store.ChangePassword(ctx, p.UserID, old, hash, p.SessionID, changed)
}

// prove returns the principal's password hash if pass is the password, else ErrInvalidCredentials.
func (s *Service) prove(ctx context.Context, p Principal, pass secret.Text) (string, error) {
	hash, err := s.store.PasswordHash(ctx, p.UserID)
	if err != nil {
		return "", fmt.Errorf("find password: %w", err)
	}
	ok, _, err := s.hasher.Verify(ctx, hash, pass)
	switch {
	case err != nil:
		return "", err
	case !ok:
		s.refuse(ctx, audit.PasswordRefused, p.UserID)
		return "", ErrInvalidCredentials
	}
	return hash, nil
}

// Delete erases the principal's account and everything it owns, for good. It asks for the password, or of an account without
// one for a sign-in in the last five minutes. It returns ErrInvalidCredentials or ErrStaleSession.
func (s *Service) Delete(ctx context.Context, p Principal, pass secret.Text) error {
	hash, err := s.store.PasswordHash(ctx, p.UserID)
	switch {
	case err != nil:
		return fmt.Errorf("find password: %w", err)
	case hash == "":
		if s.now().Sub(p.SignedInAt) > freshness {
			return ErrStaleSession
		}
	default:
		if _, err := s.prove(ctx, p, pass); err != nil {
			return err
		}
	}
	err = s.store.DeleteUser(ctx, p.UserID, s.entry(ctx, audit.Deleted, p.UserID))
	if errors.Is(err, ErrNotFound) { // of two at once, one did it
		return nil
	}
	return err
}
