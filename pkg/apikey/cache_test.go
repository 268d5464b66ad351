package apikey_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
)

// single is a store of one key that counts look-ups.
type single struct {
	apikey.Store
	key     apikey.Key
	err     error
	lookups int
}

func (s *single) KeyByHash(context.Context, [32]byte) (apikey.Key, error) {
	s.lookups++
	return s.key, s.err
}

// newSingle returns a Service of one good key, at *now.
func newSingle(now *time.Time) (*apikey.Service, *single, *feed) {
	f := &feed{}
	s := &single{key: apikey.Key{ID: uuid.NewString(), UserID: uuid.NewString(), Tier: "new"}}
	return apikey.New(apikey.Config{Store: s, Prefix: prefix, Now: func() time.Time { return *now }, Feed: f}), s, f
}

func TestVerifyRemembersUntilANotice(t *testing.T) {
	now := start
	k, s, f := newSingle(&now)
	for _, step := range []struct {
		name    string
		notice  revocation.Notice
		lookups int // so far
	}{
		{"the first time", revocation.Notice{Kind: revocation.Key, ID: "another"}, 1},
		{"after a notice of another key", revocation.Notice{Kind: revocation.Key, ID: uuid.NewString()}, 1},
		{"after one of another user", revocation.Notice{Kind: revocation.User, ID: uuid.NewString()}, 1},
		{"after one of a session with its id", revocation.Notice{Kind: revocation.Session, ID: s.key.ID}, 1},
		{"after one of the key", revocation.Notice{Kind: revocation.Key, ID: s.key.ID}, 2},
		{"after one of its owner", revocation.Notice{Kind: revocation.User, ID: s.key.UserID}, 3},
		{"after one that some were missed", revocation.Notice{}, 4},
	} {
		f.say(step.notice)
		for range 2 {
			if _, err := k.Verify(t.Context(), prefix+digits); err != nil || s.lookups != step.lookups {
				t.Errorf("%s: %v after %d look-ups, want %d", step.name, err, s.lookups, step.lookups)
			}
		}
	}

	f.down = true
	s.key.RevokedAt = start
	if _, err := k.Verify(t.Context(), prefix+digits); !errors.Is(err, apikey.ErrRevoked) {
		t.Errorf("while the feed is down: %v, want ErrRevoked", err)
	}
}

func TestRefusalsAreNotRemembered(t *testing.T) {
	now := start
	k, s, _ := newSingle(&now)
	s.err = apikey.ErrNotFound
	for range 2 {
		if _, err := k.Verify(t.Context(), prefix+digits); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Verify() = %v, want ErrNotFound", err)
		}
	}
	s.err = nil
	if _, err := k.Verify(t.Context(), prefix+digits); err != nil || s.lookups != 3 {
		t.Errorf("a key that was just made: %v after %d look-ups", err, s.lookups)
	}
}

func TestWhatIsRememberedExpires(t *testing.T) {
	now := start
	k, s, _ := newSingle(&now)
	s.key.ExpiresAt = start.Add(time.Second)
	if _, err := k.Verify(t.Context(), prefix+digits); err != nil {
		t.Fatal(err)
	}
	now = start.Add(time.Second)
	if _, err := k.Verify(t.Context(), prefix+digits); !errors.Is(err, apikey.ErrExpired) || s.lookups != 1 {
		t.Errorf("Verify() = %v after %d look-ups, want ErrExpired", err, s.lookups)
	}
}

// TestRevocationBitesAtOnce has no feed of its own: the store's, in one process.
func TestRevocationBitesAtOnce(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name   string
		revoke func(user, key string) error
		want   error
	}{
		{"a revoked key", func(user, key string) error { return r.Revoke(t.Context(), user, key) }, apikey.ErrRevoked},
		{"a key of a disabled account", func(user, _ string) error {
			return r.db.SetDisabled(t.Context(), user, start, entry(audit.Disabled, user))
		}, apikey.ErrRevoked},
		{"a key of an account that is gone", func(user, _ string) error {
			return r.db.DeleteUser(t.Context(), user, entry(audit.Deleted, user))
		}, apikey.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user := r.mustUser(t)
			made := r.mustIssue(t, apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new"})
			if _, err := r.Verify(t.Context(), made.Token.Reveal()); err != nil {
				t.Fatal(err)
			}
			if err := tt.revoke(user, made.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Verify(t.Context(), made.Token.Reveal()); !errors.Is(err, tt.want) {
				t.Errorf("Verify() = %v, want %v", err, tt.want)
			}
		})
	}
}
