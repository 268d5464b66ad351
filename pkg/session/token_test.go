package session_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

// recorder is a store that takes every session and notes what is looked up.
type recorder struct {
	session.Store
	id      string
	counter uint64
	lookups int
}

func (r *recorder) AdoptedSession(context.Context, [32]byte) (string, error) {
	r.lookups++
	return "", session.ErrNotFound
}

func (r *recorder) Rotate(_ context.Context, id string, presented uint64, _, _ time.Time, _ audit.Entry) (session.Session, error) {
	r.id, r.counter = id, presented
	r.lookups++
	return session.Session{ID: id, Counter: presented}, nil
}

// newToken returns a Keeper over a recorder, with a token of it.
func newToken(t testing.TB, key secret.Text) (*session.Keeper, *recorder, string) {
	t.Helper()
	r := &recorder{}
	k, err := session.NewKeeper(session.Config{Store: r, Key: key, Sliding: sliding, Feed: &feed{}, Now: (&clock{start}).now})
	if err != nil {
		t.Fatal(err)
	}
	_, token := k.New(uuid.NewString(), session.Client{})
	return k, r, token.Reveal()
}

// with returns token with its bytes changed.
func with(t testing.TB, token string, change func(raw []byte)) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	change(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func TestForgedTokensAreNotLookedUp(t *testing.T) {
	k, store, token := newToken(t, key)
	_, _, otherKey := newToken(t, secret.New("another refresh token key, 32 b."))

	for name, forged := range map[string]string{
		"empty":                         "",
		"garbage":                       "garbage",
		"garbage of the right length":   strings.Repeat("A", len(token)),
		"a character short":             token[:len(token)-1],
		"four characters short":         token[:len(token)-4],
		"a character long":              token + "A",
		"padded":                        token + "=",
		"with a line break after it":    token + "\n",
		"with a line break in it":       token[:20] + "\n" + token[20:],
		"with a space before it":        " " + token,
		"not of the alphabet":           token[:len(token)-1] + "!",
		"twice":                         token + token,
		"of another key":                otherKey,
		"of another version":            with(t, token, func(raw []byte) { raw[0] = 2 }),
		"of another session":            with(t, token, func(raw []byte) { raw[1] ^= 1 }),
		"of a later step":               with(t, token, func(raw []byte) { binary.BigEndian.PutUint64(raw[17:], 1) }),
		"with another signature":        with(t, token, func(raw []byte) { raw[len(raw)-1] ^= 1 }),
		"with a signature of zeros":     with(t, token, func(raw []byte) { clear(raw[25:]) }),
		"of 5 KiB":                      strings.Repeat(token, 70),
		"an access token by its shape":  "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
		"with a NUL after it":           token + "\x00",
		"of the right length with NULs": strings.Repeat("\x00", len(token)),
	} {
		t.Run(name, func(t *testing.T) {
			store.lookups = 0
			if _, _, err := k.Refresh(t.Context(), forged); !errors.Is(err, session.ErrInvalidToken) {
				t.Errorf("Refresh() = %v, want ErrInvalidToken", err)
			}
			if store.lookups != 0 {
				t.Error("the store was asked")
			}
		})
	}
	store.lookups = 0
	if _, _, err := k.Refresh(t.Context(), token); err != nil || store.lookups != 1 {
		t.Errorf("the token itself: %v after %d look-ups", err, store.lookups)
	}
}

// FuzzRefreshToken holds that a token which is looked up is, to the letter, one that the key makes.
func FuzzRefreshToken(f *testing.F) {
	k, store, token := newToken(f, key)
	_, _, otherKey := newToken(f, secret.New("another refresh token key, 32 b."))
	for _, seed := range []string{"", "garbage", token, token + "\n", token[:75], otherKey, with(f, token, func(raw []byte) { raw[0] = 0 })} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, presented string) {
		store.lookups = 0
		_, again, err := k.Refresh(t.Context(), presented)
		if (err == nil) != (store.lookups == 1) {
			t.Fatalf("Refresh() = %v after %d look-ups", err, store.lookups)
		}
		if err == nil && again.Reveal() != presented {
			t.Errorf("%q was read as session %s, step %d, whose token is another", presented, store.id, store.counter)
		}
	})
}
