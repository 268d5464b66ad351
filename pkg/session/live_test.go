package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/session"
)

// single is a store of one session that counts look-ups.
type single struct {
	session.Store
	session session.Session
	lookups int
}

func (s *single) SessionByID(_ context.Context, id string) (session.Session, error) {
	s.lookups++
	if id != s.session.ID {
		return session.Session{}, session.ErrNotFound
	}
	return s.session, nil
}

// newLive returns a Keeper of one live session.
func newLive(t *testing.T) (*session.Keeper, *single, *feed, *clock) {
	t.Helper()
	s, f, c := &single{}, &feed{}, &clock{start}
	k := newKeeper(t, s, f, key, c)
	s.session, _ = k.New(uuid.NewString(), session.Client{})
	return k, s, f, c
}

func TestLiveIsRememberedUntilANotice(t *testing.T) {
	k, s, f, _ := newLive(t)
	live := func(want error, lookups int) {
		t.Helper()
		if _, err := k.Live(t.Context(), s.session.ID); !errors.Is(err, want) || s.lookups != lookups {
			t.Errorf("Live() = %v after %d look-ups, want %v after %d", err, s.lookups, want, lookups)
		}
	}
	live(nil, 1)
	live(nil, 1)
	f.say(revocation.Notice{Kind: revocation.Session, ID: uuid.NewString()})
	f.say(revocation.Notice{Kind: revocation.Key, ID: s.session.ID})
	live(nil, 1)
	f.say(revocation.Notice{Kind: revocation.Session, ID: s.session.ID})
	live(nil, 2)

	s.session.RevokedAt = start
	f.say(revocation.Notice{Kind: revocation.User, ID: s.session.UserID})
	live(session.ErrNotFound, 3)
	live(session.ErrNotFound, 4) // refusals are not remembered
}

func TestLiveAsksEachTimeWhileTheFeedIsDown(t *testing.T) {
	k, s, f, _ := newLive(t)
	if _, err := k.Live(t.Context(), s.session.ID); err != nil {
		t.Fatal(err)
	}
	f.down = true
	s.session.RevokedAt = start
	if _, err := k.Live(t.Context(), s.session.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Live() = %v: the revocation is not seen", err)
	}
}

func TestWhatIsRememberedExpires(t *testing.T) {
	k, s, _, c := newLive(t)
	if _, err := k.Live(t.Context(), s.session.ID); err != nil {
		t.Fatal(err)
	}
	c.Time = start.Add(sliding)
	if _, err := k.Live(t.Context(), s.session.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Live() = %v, want ErrNotFound", err)
	}
	s.session.ExpiresAt = c.Add(time.Hour) // by a refresh at another replica
	if _, err := k.Live(t.Context(), s.session.ID); err != nil {
		t.Errorf("after a refresh: %v", err)
	}
}
