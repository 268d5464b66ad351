package session_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

func TestNewKeeperRefusesAShortKey(t *testing.T) {
	if _, err := session.NewKeeper(session.Config{Key: secret.New("only 31 bytes of key, not more!")}); err == nil {
		t.Error("a key of 31 bytes is taken")
	}
}

func TestNew(t *testing.T) {
	r := newRig(t)
	s, _ := r.mustStart(t)
	want := session.Session{
		ID: s.ID, UserID: r.user, ClientType: "web", DeviceLabel: "Firefox", CreatedAt: start, LastSeenAt: start,
		ExpiresAt: start.Add(30 * day), EndsAt: start.Add(365 * day),
	}
	got, err := r.Live(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
}

func TestRefreshFamilies(t *testing.T) {
	const refused = -1
	r := newRig(t)
	for _, tt := range []struct {
		name      string
		presented []int // generations of tokens, 0 the first
		want      []int // generations that come back
	}{
		{"the current one steps", []int{0, 1, 2}, []int{1, 2, 3}},
		{"the immediate predecessor gives the same successor", []int{0, 0, 0}, []int{1, 1, 1}},
		{"the predecessor again, one step later", []int{0, 0, 1, 1}, []int{1, 1, 2, 2}},
		{"older ends the session, for all its tokens", []int{0, 1, 0, 1, 2}, []int{1, 2, refused, refused, refused}},
		{"much older too", []int{0, 1, 2, 3, 0, 4}, []int{1, 2, 3, 4, refused, refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, first := r.mustStart(t)
			family := []string{first}
			for i, generation := range tt.presented {
				got, next, err := r.Refresh(t.Context(), family[generation])
				if tt.want[i] == refused {
					if !errors.Is(err, session.ErrInvalidToken) {
						t.Fatalf("step %d: %v, want ErrInvalidToken", i, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				if !slices.Contains(family, next.Reveal()) {
					family = append(family, next.Reveal())
				}
				if at := slices.Index(family, next.Reveal()); at != tt.want[i] || got.ID != s.ID {
					t.Fatalf("step %d gives generation %d of session %s, want %d of %s", i, at, got.ID, tt.want[i], s.ID)
				}
			}
		})
	}
}

func TestReuseIsToldApartInTheCause(t *testing.T) {
	r := newRig(t)
	_, first := r.mustStart(t)
	r.mustRefresh(t, r.mustRefresh(t, first))
	if _, _, err := r.Refresh(t.Context(), first); !errors.Is(err, session.ErrReused) || !errors.Is(err, session.ErrInvalidToken) {
		t.Errorf("Refresh() = %v, want ErrInvalidToken for ErrReused", err)
	}
	if _, _, err := r.Refresh(t.Context(), first); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Refresh() = %v, want ErrNotFound as the cause", err)
	}
}

func TestFourRefreshesAtOnce(t *testing.T) {
	r := newRig(t)
	_, first := r.mustStart(t)
	var next [4]secret.Text
	var wg sync.WaitGroup
	for i := range next {
		wg.Go(func() {
			var err error
			if _, next[i], err = r.Refresh(t.Context(), first); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, token := range next {
		if token.Reveal() != next[0].Reveal() {
			t.Error("the family forked")
		}
	}
	r.mustRefresh(t, next[0].Reveal())
}

func TestSlidingExpiry(t *testing.T) {
	for _, tt := range []struct {
		name string
		idle time.Duration
		want error
	}{
		{"just in time", sliding - time.Microsecond, nil},
		{"too late", sliding, session.ErrInvalidToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			s, token := r.mustStart(t)
			token = r.mustRefresh(t, token)
			r.clock.Time = start.Add(tt.idle)
			if _, _, err := r.Refresh(t.Context(), token); !errors.Is(err, tt.want) {
				t.Errorf("Refresh() = %v, want %v", err, tt.want)
			}
			r.clock.Time = start.Add(tt.idle + time.Microsecond)
			if _, err := r.Live(t.Context(), s.ID); (err == nil) != (tt.want == nil) {
				t.Errorf("Live() = %v", err)
			}
		})
	}
}

func TestAbsoluteExpiry(t *testing.T) {
	r := newRig(t)
	s, token := r.mustStart(t)
	for r.clock.Before(start.Add(365*day - 7*day)) {
		r.clock.Time = r.clock.Add(7 * day)
		token = r.mustRefresh(t, token)
	}
	r.clock.Time = start.Add(365*day - time.Microsecond)
	token = r.mustRefresh(t, token)

	r.clock.Time = start.Add(365 * day)
	if _, _, err := r.Refresh(t.Context(), token); !errors.Is(err, session.ErrInvalidToken) {
		t.Errorf("Refresh after a year = %v, want ErrInvalidToken", err)
	}
	if _, err := r.Live(t.Context(), s.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Live after a year = %v, want ErrNotFound", err)
	}
}

func TestRevoke(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name       string
		scope      session.Scope
		own, other error
	}{
		{"the one", session.Local, session.ErrNotFound, nil},
		{"the others", session.Others, nil, session.ErrNotFound},
		{"all", session.Global, session.ErrNotFound, session.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own, token := r.mustStart(t)
			other, _ := r.mustStart(t)
			if err := r.Revoke(t.Context(), own.ID, tt.scope); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Live(t.Context(), own.ID); !errors.Is(err, tt.own) {
				t.Errorf("its own session: %v, want %v", err, tt.own)
			}
			if _, err := r.Live(t.Context(), other.ID); !errors.Is(err, tt.other) {
				t.Errorf("the other session: %v, want %v", err, tt.other)
			}
			if _, _, err := r.Refresh(t.Context(), token); (err == nil) != (tt.own == nil) {
				t.Errorf("Refresh() = %v", err)
			}
		})
	}
}

func TestListAndRevokeOf(t *testing.T) {
	r := newRig(t)
	first, token := r.mustStart(t)
	r.clock.Time = start.Add(time.Minute)
	second, _ := r.mustStart(t)
	ids := func() (ids []string) {
		t.Helper()
		list, err := r.List(t.Context(), r.user)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if diff := cmp.Diff([]string{second.ID, first.ID}, ids()); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	r.clock.Time = start.Add(2 * time.Minute)
	r.mustRefresh(t, token)
	if diff := cmp.Diff([]string{first.ID, second.ID}, ids()); diff != "" {
		t.Errorf("after a refresh of the first (-want +got):\n%s", diff)
	}

	for _, tt := range []struct {
		name, user, id string
		want           error
	}{
		{"another user's", uuid.NewString(), first.ID, session.ErrNotFound},
		{"one that never was", r.user, uuid.NewString(), session.ErrNotFound},
		{"what is no id", r.user, "no uuid", session.ErrNotFound},
		{"one's own", r.user, first.ID, nil},
		{"the same again", r.user, first.ID, session.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := r.RevokeOf(t.Context(), tt.user, tt.id); !errors.Is(err, tt.want) {
				t.Errorf("RevokeOf() = %v, want %v", err, tt.want)
			}
		})
	}
	if diff := cmp.Diff([]string{second.ID}, ids()); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}

func TestLiveOfAnUnknownSession(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{uuid.NewString(), "", "no uuid"} {
		if _, err := r.Live(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Live(%q) = %v, want ErrNotFound", id, err)
		}
	}
}

// failing is a store that does not answer.
type failing struct{ session.Store }

var errDown = errors.New("no answer")

func (failing) Rotate(context.Context, string, uint64, time.Time, time.Time, audit.Entry) (session.Session, error) {
	return session.Session{}, errDown
}

func TestOutageKeepsTheToken(t *testing.T) {
	r := newRig(t)
	_, token := r.mustStart(t)
	k := newKeeper(t, failing{r.db}, r.db, key, r.clock)
	if _, _, err := k.Refresh(t.Context(), token); !errors.Is(err, errDown) || errors.Is(err, session.ErrInvalidToken) {
		t.Errorf("Refresh() = %v: clients throw a token away that is refused", err)
	}
	r.mustRefresh(t, token)
}
