package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/provisioner/provisioner/pkg/session"
)

// Principal is who makes a request.
type Principal struct {
	UserID     string
	SessionID  string
	SignedInAt time.Time // when the session began
}

// Authenticate returns who holds an access token. It returns an error that wraps token.ErrInvalid, or for a session that has
// ended ErrSessionEnded, with ErrNotFound for an account that is gone and ErrDisabled for one that is disabled as the cause.
func (s *Service) Authenticate(ctx context.Context, accessToken string) (Principal, error) {
	subject, err := s.tokens.Verify(ctx, accessToken)
	if err != nil {
		return Principal{}, err
	}
	live, err := s.sessions.Live(ctx, subject.SessionID)
	switch {
	case errors.Is(err, session.ErrNotFound) || err == nil && live.UserID != subject.UserID:
		return Principal{}, s.whyEnded(ctx, subject.UserID)
	case err != nil:
		return Principal{}, fmt.Errorf("find session: %w", err)
	}
	return Principal{UserID: live.UserID, SessionID: live.ID, SignedInAt: live.CreatedAt}, nil
}

func (s *Service) whyEnded(ctx context.Context, userID string) error {
	user, err := s.store.UserByID(ctx, userID)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: %w", ErrSessionEnded, ErrNotFound)
	case err != nil:
		return fmt.Errorf("find account: %w", err)
	case user.Disabled():
		return fmt.Errorf("%w: %w", ErrSessionEnded, ErrDisabled)
	}
	return ErrSessionEnded
}

// SignOut ends the sessions in scope, seen from the principal's.
func (s *Service) SignOut(ctx context.Context, p Principal, scope session.Scope) error {
	return s.sessions.Revoke(ctx, p.SessionID, scope)
}

// Sessions returns the principal's live sessions, the one seen last first.
func (s *Service) Sessions(ctx context.Context, p Principal) ([]session.Session, error) {
	return s.sessions.List(ctx, p.UserID)
}

// RevokeSession ends one of the principal's sessions. It returns session.ErrNotFound for any other.
func (s *Service) RevokeSession(ctx context.Context, p Principal, id string) error {
	return s.sessions.RevokeOf(ctx, p.UserID, id)
}
