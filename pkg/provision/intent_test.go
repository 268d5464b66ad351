package provision_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/provision"
)

// step is one request of an intent, some time after the one before, and the number of the key that it gets.
type step struct {
	name  string
	later time.Duration
	body  string
	key   string // the Idempotency-Key
	want  string // the key's token
}

func TestReceiveMintsOnceForAnIntent(t *testing.T) {
	other := func(jwt, name, tier string) string {
		return `{"action":"provision_api_key","jwt":"` + jwt + `","name":"` + name + `","tier":"` + tier + `"}`
	}
	for name, steps := range map[string][]step{
		"without an Idempotency-Key": {
			{"the first", 0, provisionBody, "", "obtk_token1"},
			{"a retry", time.Second, provisionBody, "", "obtk_token1"},
			{"with other members beside", 0, `{"sentAt":"x","action":"provision_api_key","jwt":"a.alice.c","name":"laptop","tier":"new"}`, "", "obtk_token1"},
			{"another name", 0, other("a.alice.c", "phone", "new"), "", "obtk_token2"},
			{"another tier", 0, other("a.alice.c", "laptop", "pro"), "", "obtk_token3"},
			{"another JWT of the same user", 0, other("a.alice.d", "laptop", "new"), "", "obtk_token4"},
			{"another user", 0, other("a.bob.c", "laptop", "new"), "", "obtk_token5"},
			{"just inside 120 s", 118 * time.Second, provisionBody, "", "obtk_token1"},
			{"after 120 s", 2 * time.Second, provisionBody, "", "obtk_token6"},
		},
		"with an Idempotency-Key": {
			{"the first", 0, provisionBody, "k1", "obtk_token1"},
			{"another key", 0, provisionBody, "k2", "obtk_token2"},
			{"no key", 0, provisionBody, "", "obtk_token3"},
			{"another JWT of the same user", 0, other("a.alice.d", "laptop", "new"), "k1", "obtk_token1"},
			{"the same key of another user", 0, other("a.bob.c", "laptop", "new"), "k1", "obtk_token4"},
			{"just inside 24 h", 24*time.Hour - time.Second, provisionBody, "k1", "obtk_token1"},
			{"after 24 h", 2 * time.Second, provisionBody, "k1", "obtk_token5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, userOf, new(mint).create)
			for _, s := range steps {
				r.clock.advance(s.later)
				if got := r.mustProvision(t, s.body, s.key); got.Token.Reveal() != s.want {
					t.Errorf("%s: %s, want %s", s.name, got.Token.Reveal(), s.want)
				}
			}
		})
	}
}

func TestReceiveRefusesAnotherRequestUnderTheSameKey(t *testing.T) {
	m := new(mint)
	r := newRig(t, userOf, m.create)
	r.mustProvision(t, provisionBody, "k")
	for _, body := range []string{
		`{"action":"provision_api_key","jwt":"a.alice.c","name":"phone","tier":"new"}`,
		`{"action":"provision_api_key","jwt":"a.alice.c","name":"laptop","tier":"pro"}`,
		`{"action":"provision_api_key","jwt":"a.alice.c","name":"laptop","tier":"unknown"}`,
	} {
		if got := r.refused(t, body, "k"); got != provision.CodeIdempotencyKeyReused {
			t.Errorf("%s is refused with %q, want IDEMPOTENCY_KEY_REUSED", body, got)
		}
	}
	if len(m.asked) != 1 {
		t.Errorf("%d keys were asked for", len(m.asked))
	}
}

func TestReceiveGivesNoStoredAnswerToAnUncheckedJWT(t *testing.T) {
	users := userOf
	r := newRig(t, func(ctx context.Context, jwt string) (provision.Identity, error) { return users(ctx, jwt) }, new(mint).create)
	r.mustProvision(t, provisionBody, "k")

	revoked := func(context.Context, string) (provision.Identity, error) {
		return provision.Identity{}, provision.ErrInvalidAuth
	}
	for _, tt := range []struct {
		users validator
		want  error
	}{{revoked, provision.ErrInvalidAuth}, {identityDown, provision.ErrIdentityTimeout}} {
		users = tt.users
		if out, err := r.Receive(t.Context(), r.inbound(provisionBody, "k")); !errors.Is(err, tt.want) || out.Key != nil {
			t.Errorf("Receive() = %+v, %v, want %v and no key", out, err, tt.want)
		}
	}
}

func TestReceiveAfterARefusalOrAnOutage(t *testing.T) {
	for _, tt := range []struct {
		name    string
		first   error
		sameKey bool // the next try tells the issuer the same key
	}{
		{"a 4xx releases the intent", provision.ErrQuotaExceeded, false},
		{"a 5xx keeps it", provision.ErrProvisionFailed, true},
		{"a time-out keeps it", provision.ErrProvisionTimeout, true},
		{"a lost connection keeps it", errors.New("connection reset"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, failing := new(mint), true
			r := newRig(t, userOf, func(ctx context.Context, in provision.KeyRequest) (provision.Key, error) {
				key, err := m.create(ctx, in)
				if failing {
					return provision.Key{}, tt.first
				}
				return key, err
			})
			if r.refused(t, provisionBody, "") == "" {
				t.Fatal("the first try succeeded")
			}
			failing = false
			r.mustProvision(t, provisionBody, "")
			if got := len(m.upstreamKeys()) == 1; got != tt.sameKey {
				t.Errorf("the issuer saw %d keys", len(m.upstreamKeys()))
			}
		})
	}
}

func TestReceiveReleasesAKeyThatWasRefused(t *testing.T) {
	r := newRig(t, userOf, new(mint).create)
	if got := r.refused(t, `{"action":"provision_api_key","jwt":"a.alice.c","name":"laptop","tier":"gold"}`, "k"); got != provision.CodeUnknownTier {
		t.Fatalf("refused with %q", got)
	}
	r.mustProvision(t, provisionBody, "k") // another request, but the first came to nothing
}

func TestReceiveSharesOneMintAmongConcurrentDuplicates(t *testing.T) {
	const duplicates = 20
	var wg, come sync.WaitGroup
	come.Add(duplicates)
	m := new(mint)
	r := newRig(t, userOf, func(ctx context.Context, in provision.KeyRequest) (provision.Key, error) {
		come.Wait()
		return m.create(ctx, in)
	})
	tokens := make([]string, duplicates)
	for i := range duplicates {
		wg.Go(func() {
			come.Done()
			out, err := r.Receive(t.Context(), r.inbound(provisionBody, "k"))
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = out.Key.Token.Reveal()
		})
	}
	wg.Wait()
	for i, token := range tokens {
		if token != "obtk_token1" {
			t.Errorf("duplicate %d got %q", i, token)
		}
	}
	if len(m.asked) != 1 {
		t.Errorf("%d mints", len(m.asked))
	}
}

func TestUpstreamKeyIsRandom(t *testing.T) {
	m := new(mint)
	r := newRig(t, userOf, m.create)
	r.mustProvision(t, provisionBody, "k1")
	r.mustProvision(t, provisionBody, "k2")
	keys := m.upstreamKeys()
	if len(keys) != 2 || len(keys[0]) != 32 || len(keys[1]) != 32 {
		t.Errorf("upstream keys are %q", keys)
	}
}
