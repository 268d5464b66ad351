package session_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/session"
)

// before is a refresh token from before this server.
const before = "kR3v_Qm8-opaque.token.of.another.server"

// family is a store of one session that was adopted with the token before.
type family struct {
	session.Store
	session  session.Session
	lookups  int
	presents []uint64
	err      error
}

func (f *family) AdoptedSession(_ context.Context, hash [sha256.Size]byte) (string, error) {
	f.lookups++
	switch {
	case f.err != nil:
		return "", f.err
	case hash != sha256.Sum256([]byte(before)):
		return "", session.ErrNotFound
	}
	return f.session.ID, nil
}

func (f *family) Rotate(_ context.Context, id string, presented uint64, _, _ time.Time, _ audit.Entry) (session.Session, error) {
	f.presents = append(f.presents, presented)
	switch {
	case id != f.session.ID:
		return session.Session{}, session.ErrNotFound
	case presented == f.session.Counter:
		f.session.Counter++
	case presented+1 != f.session.Counter:
		return session.Session{}, session.ErrReused
	}
	return f.session, nil
}

func TestAdoptedTokensAreGenerationZero(t *testing.T) {
	f := &family{session: session.Session{ID: uuid.NewString()}}
	k := newKeeper(t, f, &feed{}, key, &clock{start})
	refresh := func(token string) string {
		t.Helper()
		s, next, err := k.Refresh(t.Context(), token)
		if err != nil || s.ID != f.session.ID {
			t.Fatalf("Refresh() = session %s, %v", s.ID, err)
		}
		return next.Reveal()
	}
	first := refresh(before)
	if again := refresh(before); again != first {
		t.Error("a lost response: the second try gives another successor")
	}
	lookups := f.lookups
	refresh(first)
	if f.lookups != lookups {
		t.Error("its successor, which is ours, was looked for among the adopted")
	}
	if _, _, err := k.Refresh(t.Context(), before); !errors.Is(err, session.ErrInvalidToken) || !errors.Is(err, session.ErrReused) {
		t.Errorf("two steps later Refresh() = %v, want ErrInvalidToken for ErrReused", err)
	}
	if want := []uint64{0, 0, 1, 0}; !slices.Equal(f.presents, want) {
		t.Errorf("presented %v, want %v", f.presents, want)
	}
}

func TestAdoptedTokenRefusals(t *testing.T) {
	for _, tt := range []struct {
		name, token string
		lookups     int
	}{
		{"unknown", strings.Repeat("a", 43), 1},
		{"of 20 characters", strings.Repeat("a", 20), 1},
		{"of 512 characters", strings.Repeat("a", 512), 1},
		{"of 19 characters", strings.Repeat("a", 19), 0},
		{"of 513 characters", strings.Repeat("a", 513), 0},
		{"of our own length", strings.Repeat("A", 76), 0},
		{"with a space", "a token with some spaces", 0},
		{"with a line break", before + "\n", 0},
		{"with a NUL", before + "\x00", 0},
		{"not of ASCII", before + "é", 0},
		{"empty", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &family{session: session.Session{ID: uuid.NewString()}}
			k := newKeeper(t, f, &feed{}, key, &clock{start})
			if _, _, err := k.Refresh(t.Context(), tt.token); !errors.Is(err, session.ErrInvalidToken) || f.lookups != tt.lookups {
				t.Errorf("Refresh() = %v after %d look-ups, want ErrInvalidToken after %d", err, f.lookups, tt.lookups)
			}
		})
	}
}

func TestOutageKeepsTheAdoptedToken(t *testing.T) {
	f := &family{session: session.Session{ID: uuid.NewString()}, err: errDown}
	k := newKeeper(t, f, &feed{}, key, &clock{start})
	if _, _, err := k.Refresh(t.Context(), before); !errors.Is(err, errDown) || errors.Is(err, session.ErrInvalidToken) {
		t.Errorf("Refresh() = %v: clients throw a token away that is refused", err)
	}
}
