package account_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

// failover is a store that cannot rotate sessions for a time, or whose connections hang meanwhile.
type failover struct {
	*store.DB
	user  account.User
	until time.Time
	hangs bool
	tries int
}

func (f *failover) Rotate(
	ctx context.Context, id string, presented uint64, _, _ time.Time, _ audit.Entry,
) (session.Session, error) {
	f.tries++
	switch {
	case !time.Now().Before(f.until):
		return session.Session{ID: id, UserID: f.user.ID, Counter: presented + 1}, nil
	case f.hangs:
		<-ctx.Done()
		return session.Session{}, apierror.Unavailable(ctx.Err())
	}
	return session.Session{}, apierror.Unavailable(errors.New("connection refused"))
}

func (f *failover) UserByID(context.Context, string) (account.User, error) { return f.user, nil }

// newFailover returns a Service over a store that fails over, with a refresh token.
func newFailover(t *testing.T) (*account.Service, *failover, string) {
	t.Helper()
	r := newRig(t)
	grant := r.mustRegister(t, email)
	f := &failover{DB: r.db, user: grant.User}
	s := r.with(func(c *account.Config) { c.Store, c.Sessions = f, newSessions(t, f, r.clock) })
	return s, f, grant.RefreshToken.Reveal()
}

func TestRefreshWaitsOutAFailover(t *testing.T) {
	for _, tt := range []struct {
		name  string
		down  time.Duration
		hangs bool
		want  apierror.Code // "" for success
	}{
		{"none at all", 0, false, ""},
		{"of a moment", 10 * time.Millisecond, false, ""},
		{"of four and a half seconds", 4500 * time.Millisecond, false, ""},
		{"of an hour", time.Hour, false, apierror.StoreUnavailable},
		{"with connections that hang", time.Hour, true, apierror.StoreUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, f, token := newFailover(t)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				f.until, f.hangs = began.Add(tt.down), tt.hangs
				grant, err := s.Refresh(t.Context(), token)
				if tt.want == "" && (err != nil || !grant.RefreshToken.IsSet()) {
					t.Errorf("Refresh() = %v", err)
				}
				if tt.want != "" && apierror.From(err).Code != tt.want {
					t.Errorf("Refresh() = %v, want %s", err, tt.want)
				}
				if took := time.Since(began); took > min(tt.down+time.Second, 5*time.Second) {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestRefreshOfWhoHangsUpEnds(t *testing.T) {
	s, f, token := newFailover(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f.until = began.Add(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Refresh(ctx, token); err == nil || time.Since(began) > time.Second {
			t.Errorf("Refresh() = %v after %v", err, time.Since(began))
		}
	})
}

func TestRefusedTokensAreNotTriedAgain(t *testing.T) {
	s, f, _ := newFailover(t)
	if _, err := s.Refresh(t.Context(), "forged"); !errors.Is(err, session.ErrInvalidToken) || f.tries != 0 {
		t.Errorf("Refresh() = %v after %d tries", err, f.tries)
	}
}
