package apikey_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
)

// recorder is a store without keys that counts look-ups.
type recorder struct {
	apikey.Store
	lookups int
}

func (r *recorder) KeyByHash(context.Context, [32]byte) (apikey.Key, error) {
	r.lookups++
	return apikey.Key{}, apikey.ErrNotFound
}

var digits = strings.Repeat("0123456789abcdef", 4)

func TestMalformedTokensAreNotLookedUp(t *testing.T) {
	store := &recorder{}
	s := apikey.New(apikey.Config{Store: store, Prefix: prefix, Now: func() time.Time { return start }, Feed: &feed{}})
	for name, token := range map[string]string{
		"empty":                     "",
		"the prefix alone":          prefix,
		"no prefix":                 digits,
		"another prefix":            "sk_t_" + digits,
		"the prefix in capitals":    "OBTK_" + digits,
		"a digit short":             prefix + digits[1:],
		"a digit long":              prefix + digits + "0",
		"capital digits":            prefix + strings.ToUpper(digits),
		"what is no digit":          prefix + digits[1:] + "g",
		"a colon, next to the nine": prefix + digits[1:] + ":",
		"a line break after it":     prefix + digits + "\n",
		"a NUL in it":               prefix + digits[1:] + "\x00",
		"a JWT":                     "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
		"a megabyte":                prefix + strings.Repeat("0", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Verify(t.Context(), token); !errors.Is(err, apikey.ErrMalformed) || store.lookups != 0 {
				t.Errorf("Verify() = %v after %d look-ups, want ErrMalformed", err, store.lookups)
			}
		})
	}
	if _, err := s.Verify(t.Context(), prefix+digits); !errors.Is(err, apikey.ErrNotFound) || store.lookups != 1 {
		t.Errorf("a token of nobody: %v after %d look-ups", err, store.lookups)
	}
}

func TestVerify(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	for _, tt := range []struct {
		name   string
		change func(*apikey.Key)
		want   error
	}{
		{"that never expires", func(*apikey.Key) {}, nil},
		{"that expires later", func(k *apikey.Key) { k.ExpiresAt = start.Add(time.Microsecond) }, nil},
		{"as it expires", func(k *apikey.Key) { k.ExpiresAt = start }, apikey.ErrExpired},
		{"revoked", func(k *apikey.Key) { k.RevokedAt = start }, apikey.ErrRevoked},
		{"revoked and expired", func(k *apikey.Key) { k.RevokedAt, k.ExpiresAt = start, start }, apikey.ErrRevoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := r.mustKeep(t, user, tt.change)
			if _, err := r.Verify(t.Context(), token); !errors.Is(err, tt.want) {
				t.Errorf("Verify() = %v, want %v", err, tt.want)
			}
		})
	}

	token := r.mustKeep(t, user, func(*apikey.Key) {})
	if err := r.db.DeleteUser(t.Context(), user, entry(audit.Deleted, user)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context(), token); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Verify after its account was deleted = %v, want ErrNotFound", err)
	}
}

func TestPerMinute(t *testing.T) {
	s := apikey.New(apikey.Config{Tiers: tiers, Feed: &feed{}})
	for tier, want := range map[string]int{"new": 60, "pro": 600, "gone": 0, "": 0} {
		if got := s.PerMinute(tier); got != want {
			t.Errorf("PerMinute(%q) = %d, want %d", tier, got, want)
		}
	}
}

// FuzzAPIKeyToken holds that what is looked up has the shape of a token, and that everything of that shape is.
func FuzzAPIKeyToken(f *testing.F) {
	for _, seed := range []string{"", prefix, prefix + digits, prefix + strings.ToUpper(digits), digits, prefix + digits + "\n", "eyJh.e30.c2ln"} {
		f.Add(seed)
	}
	store := &recorder{}
	s := apikey.New(apikey.Config{Store: store, Prefix: prefix, Now: func() time.Time { return start }, Feed: &feed{}})
	f.Fuzz(func(t *testing.T, token string) {
		random, found := strings.CutPrefix(token, prefix)
		shaped := found && len(random) == 64 && strings.Trim(random, "0123456789abcdef") == ""
		store.lookups = 0
		_, err := s.Verify(t.Context(), token)
		if looked := store.lookups == 1; looked != shaped || errors.Is(err, apikey.ErrMalformed) == shaped {
			t.Errorf("Verify(%q) = %v, looked up: %v", token, err, looked)
		}
	})
}
