package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/session"
)

// A refresh waits out a short failover of the database: shipped clients throw their tokens away when one fails. To try it again
// is safe, because the token that it used up gives the same successor once more.
const (
	refreshWait     = 5 * time.Second
	refreshPause    = 25 * time.Millisecond
	maxRefreshPause = 400 * time.Millisecond
)

var refreshRetries = retrypolicy.NewBuilder[Grant]().
	HandleIf(func(_ Grant, err error) bool { return apierror.From(err).Code == apierror.StoreUnavailable }).
	WithBackoff(refreshPause, maxRefreshPause).WithJitterFactor(0.5).
	WithMaxDuration(refreshWait).WithMaxRetries(-1).ReturnLastFailure().
	Build()

// Refresh exchanges a refresh token (see [session.Keeper.Refresh]) for new tokens of its session.
func (s *Service) Refresh(ctx context.Context, refreshToken string) (Grant, error) {
	limited, cancel := context.WithTimeout(ctx, refreshWait)
	defer cancel()
	grant, err := failsafe.With(refreshRetries).WithContext(limited).Get(func() (Grant, error) {
		return s.refresh(limited, refreshToken)
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return Grant{}, apierror.Unavailable(err)
	}
	return grant, err
}

func (s *Service) refresh(ctx context.Context, refreshToken string) (Grant, error) {
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
	return s.grant(ctx, user, refreshed, next)
}
