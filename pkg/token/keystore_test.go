package token_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/token"
)

// newKeystore returns a replica's Keystore for access tokens that live for an hour, which change makes different.
func newKeystore(t testing.TB, s *store, c *clock, change func(*token.KeystoreConfig)) *token.Keystore {
	t.Helper()
	sealer, err := seal.New(secret.New("a seal key of at least 32 bytes for tests"))
	must(t, err)
	conf := token.KeystoreConfig{Store: s, Sealer: sealer, Use: token.Access, TTL: time.Hour, Now: c.now}
	change(&conf)
	return token.NewKeystore(conf)
}

func plain(*token.KeystoreConfig) {}

func mustSigning(t testing.TB, k *token.Keystore) string {
	t.Helper()
	key, err := k.Signing(t.Context())
	must(t, err)
	if key.Private == nil {
		t.Fatalf("key %s cannot sign", key.ID)
	}
	return key.ID
}

func mustPublished(t testing.TB, k *token.Keystore) []string {
	t.Helper()
	keys, err := k.Published(t.Context())
	must(t, err)
	var ids []string
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	return ids
}

func mustStates(t testing.TB, k *token.Keystore) map[string]token.State {
	t.Helper()
	keys, err := k.List(t.Context())
	must(t, err)
	states := map[string]token.State{}
	for _, key := range keys {
		states[key.ID] = key.State
	}
	return states
}

func TestFirstKeySignsAtOnce(t *testing.T) {
	s, c := &store{}, &clock{noon}
	k := newKeystore(t, s, c, plain)
	first := mustSigning(t, k)
	if got := mustPublished(t, k); !slices.Equal(got, []string{first}) {
		t.Errorf("published %v, want %s", got, first)
	}
	if again := mustSigning(t, newKeystore(t, s, c, plain)); again != first {
		t.Errorf("after a restart %s signs, before it %s", again, first)
	}
	if len(s.entries) != 1 || s.entries[0].Kind != audit.SigningKeyAdded || s.entries[0].Detail != "access "+first {
		t.Errorf("audited %+v", s.entries)
	}
	if strings.Contains(string(s.keys[0].Sealed), "PRIVATE KEY") {
		t.Error("the private key lies open in the store")
	}
}

func TestAReplicaWhoseClockIsBehindSigns(t *testing.T) {
	s := &store{}
	first := mustSigning(t, newKeystore(t, s, &clock{noon}, plain))
	if got := mustSigning(t, newKeystore(t, s, &clock{noon.Add(-time.Second)}, plain)); got != first {
		t.Errorf("%s signs, want %s", got, first)
	}
}

func TestReplicasAgreeOnTheFirstKey(t *testing.T) {
	s, c := &store{}, &clock{noon}
	var ids [8]string
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i] = mustSigning(t, newKeystore(t, s, c, plain)) })
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || len(s.keys) != 1 {
			t.Fatalf("%d keys; %s and %s sign", len(s.keys), ids[0], id)
		}
	}
}

// TestRotation follows two keys through their lives, at one replica that rotates and at another that only reads.
func TestRotation(t *testing.T) {
	type states map[string]token.State
	for _, tt := range []struct {
		name  string
		use   token.Use
		ttl   time.Duration
		steps []step
	}{
		{"access tokens of an hour, cached for ten minutes", token.Access, time.Hour, []step{
			{"at once", 0, token.Active, token.Published, false},
			{"while caches may not have it", 10*time.Minute - time.Second, token.Active, token.Published, false},
			{"when all caches have it", 10 * time.Minute, token.Active, token.VerifyOnly, false},
			{"a second before it signs", 11*time.Minute - time.Second, token.Active, token.VerifyOnly, false},
			{"when it signs", 11 * time.Minute, token.Retiring, token.Active, true},
			{"while tokens of the old one live", 81*time.Minute - time.Second, token.Retiring, token.Active, true},
			{"when none is good any more", 81 * time.Minute, token.Removable, token.Active, true},
		}},
		{"PowerSync tokens of five minutes, cached for five", token.PowerSync, 5 * time.Minute, []step{
			{"at once", 0, token.Active, token.Published, false},
			{"while caches may not have it", 5*time.Minute - time.Second, token.Active, token.Published, false},
			{"when all caches have it", 5 * time.Minute, token.Active, token.VerifyOnly, false},
			{"when it signs", 6 * time.Minute, token.Retiring, token.Active, true},
			{"while tokens of the old one live", 16*time.Minute - time.Second, token.Retiring, token.Active, true},
			{"when none is good any more", 16 * time.Minute, token.Removable, token.Active, true},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := &store{}, &clock{noon}
			change := func(conf *token.KeystoreConfig) { conf.Use, conf.TTL = tt.use, tt.ttl }
			k, replica := newKeystore(t, s, c, change), newKeystore(t, s, c, change)
			old := mustSigning(t, replica)
			keys, err := k.Rotate(t.Context())
			must(t, err)
			next := keys[1].ID

			for _, at := range tt.steps {
				c.Time = noon.Add(at.after)
				if diff := cmp.Diff(states{old: at.old, next: at.next}, states(mustStates(t, k))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", at.name, diff)
				}
				wantSigning := old
				if at.signs {
					wantSigning = next
				}
				if got := mustSigning(t, replica); got != wantSigning {
					t.Errorf("%s %s signs, want %s", at.name, got, wantSigning)
				}
				if err := k.Retire(t.Context(), next); !errors.Is(err, token.ErrInUse) {
					t.Errorf("%s: Retire(the new one) = %v, want ErrInUse", at.name, err)
				}
				if at.old == token.Removable {
					continue
				}
				if err := k.Retire(t.Context(), old); !errors.Is(err, token.ErrInUse) {
					t.Errorf("%s: Retire(the old one) = %v, want ErrInUse", at.name, err)
				}
				if _, err := k.Rotate(t.Context()); (err == nil) == (at.next != token.Active) {
					t.Errorf("%s: Rotate() = %v", at.name, err)
				} else if err == nil {
					s.keys = s.keys[:2] // that was only asked
				}
			}

			must(t, k.Retire(t.Context(), old))
			c.Time = c.Add(15 * time.Second)
			if got := mustPublished(t, replica); !slices.Equal(got, []string{next}) {
				t.Errorf("in the end %v are published, want %s", got, next)
			}
			if got := s.entries[len(s.entries)-1]; got.Kind != audit.SigningKeyGone || got.Detail != string(tt.use)+" "+old {
				t.Errorf("audited %+v", got)
			}
		})
	}
}

// step is how an old and a new key stand some time after the rotation.
type step struct {
	name      string
	after     time.Duration
	old, next token.State
	signs     bool // the new one
}

// TestReplicasPublishBeforeOneSigns holds for a replica that loaded its keys just before the rotation.
func TestReplicasPublishBeforeOneSigns(t *testing.T) {
	s, c := &store{}, &clock{noon}
	k, replica := newKeystore(t, s, c, plain), newKeystore(t, s, c, plain)
	mustSigning(t, replica)
	keys, err := k.Rotate(t.Context())
	must(t, err)
	if got := mustPublished(t, replica); len(got) != 1 {
		t.Fatalf("published %v: what was loaded a moment ago is not kept", got)
	}
	c.Time = noon.Add(15 * time.Second)
	if got := mustPublished(t, replica); !slices.Contains(got, keys[1].ID) {
		t.Errorf("after 15 s %v are published, without the new one", got)
	}
	if _, err := replica.ByID(t.Context(), keys[1].ID); err != nil {
		t.Errorf("ByID(the new one) = %v", err)
	}
	if _, err := replica.ByID(t.Context(), "of nobody"); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("ByID(unknown) = %v, want ErrUnknownKey", err)
	}
	if err := k.Retire(t.Context(), "of nobody"); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("Retire(unknown) = %v, want ErrUnknownKey", err)
	}
}

func TestTwoRotationsAtOnce(t *testing.T) {
	s, c := &store{}, &clock{noon}
	mustSigning(t, newKeystore(t, s, c, plain))
	var errs [4]error
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = newKeystore(t, s, c, plain).Rotate(t.Context()) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, token.ErrInUse) && !errors.Is(err, token.ErrKeyExists):
			t.Errorf("Rotate() = %v", err)
		}
	}
	if done != 1 || len(s.keys) != 2 {
		t.Errorf("%d of 4 rotated, %d keys", done, len(s.keys))
	}
}

func TestConfiguredKey(t *testing.T) {
	s, c := &store{}, &clock{noon}
	base := mustKey(t, token.Access, "configured", mustEC(t, elliptic.P256()))
	before := mustKey(t, token.Access, "before", mustEC(t, elliptic.P256()))
	previous, err := token.ParsePublicKey(token.Access, "before", mustPKIX(t, before.Private))
	must(t, err)
	k := newKeystore(t, s, c, func(conf *token.KeystoreConfig) { conf.Base, conf.Previous = &base, &previous })

	if got := mustSigning(t, k); got != "configured" || len(s.keys) != 0 {
		t.Fatalf("%s signs, %d keys are stored", got, len(s.keys))
	}
	if got := mustPublished(t, k); !slices.Equal(got, []string{"configured", "before"}) {
		t.Errorf("published %v", got)
	}
	keys, err := k.Rotate(t.Context())
	must(t, err)
	next := keys[1].ID
	c.Time = noon.Add(11 * time.Minute)
	if got := mustSigning(t, k); got != next {
		t.Errorf("%s signs, want the rotated one", got)
	}
	c.Time = noon.Add(81 * time.Minute)
	if got := mustPublished(t, k); !slices.Equal(got, []string{next, "before"}) {
		t.Errorf("in the end %v are published: the configured one must go by itself", got)
	}
	err = k.Retire(t.Context(), "configured")
	if !errors.Is(err, token.ErrInUse) || !strings.Contains(err.Error(), "configuration") {
		t.Errorf("Retire(configured) = %v", err)
	}
}

func TestKeystoreWhileTheStoreIsDown(t *testing.T) {
	s, c := &store{err: errDown}, &clock{noon}
	k := newKeystore(t, s, c, plain)
	if _, err := k.Signing(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Signing() = %v", err)
	}
	if _, err := k.Rotate(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Rotate() = %v", err)
	}

	s.err = nil
	if _, err := k.Signing(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("at once Signing() = %v: those who waited would ask one after the other", err)
	}
	c.Time = c.Add(time.Second)
	first := mustSigning(t, k)
	s.err = errDown
	c.Time = noon.Add(time.Hour)
	if got := mustSigning(t, k); got != first {
		t.Errorf("%s signs, want the one that was known", got)
	}

	base := mustKey(t, token.Access, "configured", mustEC(t, elliptic.P256()))
	configured := newKeystore(t, s, c, func(conf *token.KeystoreConfig) { conf.Base = &base })
	if _, err := configured.ByID(t.Context(), first); !errors.Is(err, errDown) {
		t.Errorf("before the store was ever read, ByID(a rotated key) = %v: a good token would be refused", err)
	}
	if _, err := configured.Signing(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("before the store was ever read, Signing() = %v: the configured key may long have gone", err)
	}
	s.err = nil
	c.Time = c.Add(time.Second)
	if got := mustPublished(t, configured); !slices.Equal(got, []string{"configured", first}) {
		t.Errorf("when the store is back %v are published", got)
	}
}

// TestKeystoreWhileTheStoreHangs holds that one caller waits for it, and not all.
func TestKeystoreWhileTheStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &store{}, &clock{noon}
		k := newKeystore(t, s, c, plain)
		first := mustSigning(t, k)

		s.hang = make(chan struct{})
		c.Time = noon.Add(time.Minute)
		asked := make(chan string)
		go func() { asked <- mustSigning(t, k) }()
		synctest.Wait()
		if got := mustSigning(t, k); got != first { // a deadlock, if it waited too
			t.Errorf("meanwhile %s signs, want %s", got, first)
		}
		close(s.hang)
		if got := <-asked; got != first {
			t.Errorf("when the store is back %s signs, want %s", got, first)
		}
	})
}

func TestAnImpatientCallerDoesNotWaitForTheFirstKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &store{hang: make(chan struct{})}, &clock{noon}
		k := newKeystore(t, s, c, plain)
		asked := make(chan string)
		go func() { asked <- mustSigning(t, k) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := k.Signing(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Signing() = %v", err)
		}
		close(s.hang)
		<-asked
	})
}

func TestKeystoreWithAnotherSealKey(t *testing.T) {
	s, c := &store{}, &clock{noon}
	mustSigning(t, newKeystore(t, s, c, plain))
	other, err := seal.New(secret.New("another seal key of at least 32 bytes"))
	must(t, err)
	k := newKeystore(t, s, c, func(conf *token.KeystoreConfig) { conf.Sealer = other })
	if _, err := k.Signing(t.Context()); err == nil || !strings.Contains(err.Error(), "SEAL_KEY") {
		t.Errorf("Signing() = %v, want a hint at SEAL_KEY", err)
	}
}
