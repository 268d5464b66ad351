package apikey_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apikey"
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
	s := apikey.New(apikey.Config{Store: store, Prefix: prefix, Now: func() time.Time { return start }})
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
	if err := r.db.DeleteUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context(), token); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Verify after its account was deleted = %v, want ErrNotFound", err)
	}
}

func TestLastUseIsNotedOnceAMinute(t *testing.T) {
	r := newRig(t)
	token := r.mustIssue(t, apikey.Request{UserID: r.mustUser(t), Plan: "new", Name: "laptop", Tier: "new"}).Token.Reveal()
	for _, tt := range []struct {
		name          string
		after, wanted time.Duration
	}{
		{"the first use", 0, 0},
		{"not within the minute", time.Minute - time.Microsecond, 0},
		{"after a minute", time.Minute, time.Minute},
		{"not within the next", 90 * time.Second, time.Minute},
		{"after that", 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.Time = start.Add(tt.after)
			key, err := r.Verify(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := r.db.KeyByHash(t.Context(), key.Hash)
			if err != nil || !kept.LastUsedAt.Equal(start.Add(tt.wanted)) {
				t.Errorf("last used at %v, %v; want %v", kept.LastUsedAt, err, start.Add(tt.wanted))
			}
		})
	}
}

// unwritable is a store that cannot note uses.
type unwritable struct{ apikey.Store }

func (unwritable) KeyUsed(context.Context, string, time.Time) error { return errors.New("disk full") }

func TestUseThatCannotBeNoted(t *testing.T) {
	r := newRig(t)
	token := r.mustKeep(t, r.mustUser(t), func(*apikey.Key) {})
	conf := r.conf
	conf.Store = unwritable{r.db}
	if _, err := apikey.New(conf).Verify(t.Context(), token); err != nil {
		t.Errorf("Verify() = %v: a good key is refused", err)
	}
}

func TestPerMinute(t *testing.T) {
	s := apikey.New(apikey.Config{Tiers: tiers})
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
	s := apikey.New(apikey.Config{Store: store, Prefix: prefix, Now: func() time.Time { return start }})
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
