package apikey_test

import (
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/seal"
)

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }

func TestIssue(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	made := r.mustIssue(t, apikey.Request{UserID: user, Plan: "pro", Name: "Zoë 🔑", Tier: "new"})
	token := made.Token.Reveal()
	if !regexp.MustCompile(`^obtk_[0-9a-f]{64}$`).MatchString(token) {
		t.Error("the token has another shape")
	}
	if made.Prefix != token[:8] || made.Tier != "new" || uuid.Validate(made.ID) != nil {
		t.Errorf("issued %+v", made)
	}
	key, err := r.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if key.ID != made.ID || key.UserID != user || key.Name != "Zoë 🔑" || key.Tier != "new" || key.Prefix != made.Prefix || !key.CreatedAt.Equal(start) {
		t.Errorf("kept %+v", key)
	}
	if other := r.mustIssue(t, apikey.Request{UserID: user, Plan: "pro", Name: "Zoë 🔑", Tier: "new"}); other.Token.Reveal() == token {
		t.Error("two intents without an idempotency key got one key")
	}
}

func TestIssueRefusesInOrder(t *testing.T) {
	r := newRig(t)
	full := r.mustUser(t)
	for range tiers[0].Keys {
		r.mustIssue(t, apikey.Request{UserID: full, Plan: "new", Name: "laptop", Tier: "new"})
	}
	user := r.mustUser(t)
	r.mustIssue(t, apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new", IdempotencyKey: "used"})

	for _, tt := range []struct {
		name string
		in   apikey.Request
		want error
	}{
		{"a key used for another name, and everything else wrong", apikey.Request{UserID: user, Plan: "none", Name: "\n", Tier: "none", IdempotencyKey: "used"}, apikey.ErrReused},
		{"a key used for another tier", apikey.Request{UserID: user, Plan: "pro", Name: "laptop", Tier: "pro", IdempotencyKey: "used"}, apikey.ErrReused},
		{"a bad name before an unknown tier", apikey.Request{UserID: full, Plan: "new", Name: "", Tier: "none"}, apikey.ErrInvalidName},
		{"a name of 101 characters", apikey.Request{UserID: full, Plan: "new", Name: strings.Repeat("é", 101), Tier: "new"}, apikey.ErrInvalidName},
		{"a name with a NUL", apikey.Request{UserID: full, Plan: "new", Name: "lap\x00top", Tier: "new"}, apikey.ErrInvalidName},
		{"a name of broken UTF-8", apikey.Request{UserID: full, Plan: "new", Name: "\xff", Tier: "new"}, apikey.ErrInvalidName},
		{"an unknown tier before the plan", apikey.Request{UserID: full, Plan: "none", Name: "laptop", Tier: "none"}, apikey.ErrUnknownTier},
		{"no tier", apikey.Request{UserID: full, Plan: "new", Name: "laptop"}, apikey.ErrUnknownTier},
		{"a tier in other letters", apikey.Request{UserID: full, Plan: "new", Name: "laptop", Tier: "New"}, apikey.ErrUnknownTier},
		{"a tier above the plan before the quota", apikey.Request{UserID: full, Plan: "new", Name: "laptop", Tier: "pro"}, apikey.ErrTierNotAllowed},
		{"an unknown plan allows nothing", apikey.Request{UserID: user, Plan: "gold", Name: "laptop", Tier: "new"}, apikey.ErrTierNotAllowed},
		{"no plan allows nothing", apikey.Request{UserID: user, Name: "laptop", Tier: "new"}, apikey.ErrTierNotAllowed},
		{"the quota", apikey.Request{UserID: full, Plan: "new", Name: "laptop", Tier: "new"}, apikey.ErrQuotaExceeded},
		{"an unknown user", apikey.Request{UserID: uuid.NewString(), Plan: "new", Name: "laptop", Tier: "new"}, apikey.ErrNotFound},
		{"what is no user", apikey.Request{UserID: "nobody", Plan: "new", Name: "laptop", Tier: "new", IdempotencyKey: "k"}, apikey.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if made, err := r.Issue(t.Context(), tt.in); !errors.Is(err, tt.want) || made.Token.IsSet() {
				t.Errorf("Issue() = %+v, %v; want %v", made, err, tt.want)
			}
		})
	}
}

func TestQuotaCountsLiveKeysOfAllTiers(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	for _, tier := range []string{"new", "pro", "pro"} {
		r.mustIssue(t, apikey.Request{UserID: user, Plan: "pro", Name: "laptop", Tier: tier})
	}
	r.mustKeep(t, user, func(k *apikey.Key) { k.RevokedAt = start })
	r.mustKeep(t, user, func(k *apikey.Key) { k.ExpiresAt = start })

	if _, err := r.Issue(t.Context(), apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new"}); !errors.Is(err, apikey.ErrQuotaExceeded) {
		t.Errorf("a fourth key in the lower plan: %v, want ErrQuotaExceeded", err)
	}
	for range 2 {
		r.mustIssue(t, apikey.Request{UserID: user, Plan: "pro", Name: "laptop", Tier: "new"})
	}
	if _, err := r.Issue(t.Context(), apikey.Request{UserID: user, Plan: "pro", Name: "laptop", Tier: "pro"}); !errors.Is(err, apikey.ErrQuotaExceeded) {
		t.Errorf("a sixth key: %v, want ErrQuotaExceeded", err)
	}
	r.mustIssue(t, apikey.Request{UserID: r.mustUser(t), Plan: "new", Name: "another account", Tier: "new"})
}

func TestQuotaHoldsForManyAtOnce(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.Issue(t.Context(), apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new"})
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, apikey.ErrQuotaExceeded):
			t.Errorf("Issue() = %v", err)
		}
	}
	if made != tiers[0].Keys {
		t.Errorf("%d keys, want %d", made, tiers[0].Keys)
	}
}

func TestIssueIsIdempotent(t *testing.T) {
	r := newRig(t)
	user := r.mustUser(t)
	in := apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new", IdempotencyKey: "intent 1"}
	var made [8]apikey.Issued
	var wg sync.WaitGroup
	for i := range made {
		wg.Go(func() {
			var err error
			if made[i], err = r.Issue(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first := made[0]
	for _, m := range made {
		if m.Token.Reveal() != first.Token.Reveal() || m.ID != first.ID || m.Prefix != first.Prefix || m.Tier != first.Tier {
			t.Errorf("one intent got %+v and %+v", first, m)
		}
	}

	for range tiers[0].Keys - 1 {
		r.mustIssue(t, apikey.Request{UserID: user, Plan: "new", Name: "laptop", Tier: "new"})
	}
	in.Plan = "gone" // the kept answer is the first's, whatever the plan and the quota are by now
	if again := r.mustIssue(t, in); again.Token.Reveal() != first.Token.Reveal() {
		t.Error("a retry at a full quota got another key")
	}
	in.UserID, in.Plan = r.mustUser(t), "new"
	if other := r.mustIssue(t, in); other.Token.Reveal() == first.Token.Reveal() {
		t.Error("another account got the key")
	}
}

func TestAnswersAreKeptForADay(t *testing.T) {
	r := newRig(t)
	in := apikey.Request{UserID: r.mustUser(t), Plan: "new", Name: "laptop", Tier: "new", IdempotencyKey: "intent 1"}
	first := r.mustIssue(t, in)
	r.clock.Time = start.Add(24*time.Hour - time.Microsecond)
	if again := r.mustIssue(t, in); again.ID != first.ID {
		t.Error("forgotten too early")
	}
	r.clock.Time = start.Add(24 * time.Hour)
	if again := r.mustIssue(t, in); again.ID == first.ID {
		t.Error("remembered too long")
	}
}

func TestAnswersNeedTheSealKey(t *testing.T) {
	r := newRig(t)
	in := apikey.Request{UserID: r.mustUser(t), Plan: "new", Name: "laptop", Tier: "new", IdempotencyKey: "intent 1"}
	first := r.mustIssue(t, in)
	conf := r.conf
	conf.Sealer = newSealer(t, "another seal key of at least 32 bytes")
	if got, err := apikey.New(conf).Issue(t.Context(), in); !errors.Is(err, seal.ErrBroken) || got.Token.IsSet() {
		t.Errorf("Issue() = %v, want ErrSealBroken", err)
	}

	issue, err := r.db.IssueByKey(t.Context(), in.UserID, in.IdempotencyKey, start)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(issue.Sealed), first.Token.Reveal()) {
		t.Error("the token is in the database")
	}
}
