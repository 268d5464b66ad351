package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/idempotency"
)

func TestHash(t *testing.T) {
	lists := [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"1:a"}, {"a1:b"}}
	seen := map[[32]byte][]string{}
	for _, parts := range lists {
		sum := idempotency.Hash(parts...)
		if other, ok := seen[sum]; ok {
			t.Errorf("Hash(%q) = Hash(%q)", parts, other)
		}
		seen[sum] = parts
	}
}

func TestDoOnce(t *testing.T) {
	r, up := newRig(t), &upstream{}
	if got := r.mustDo(t, mint, up.says("first", nil)); got != "first" {
		t.Errorf("the first gets %q", got)
	}
	if got := r.mustDo(t, mint, up.says("second", nil)); got != "first" {
		t.Errorf("the second gets %q, want the first's answer", got)
	}
	restarted := idempotency.NewDoer(r.db, newSealer(t), r.clock.now)
	if got, err := restarted.Do(t.Context(), mint, up.says("third", nil)); string(got) != "first" || err != nil {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	if len(up.keys) != 1 || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(up.keys[0]) || r.again != 0 {
		t.Errorf("upstream got %q, %d of them again", up.keys, r.again)
	}
}

func TestDoAtOnce(t *testing.T) {
	r, up := newRig(t), &upstream{}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if got, err := r.Do(t.Context(), mint, up.says("one", nil)); string(got) != "one" || err != nil {
				t.Errorf("Do() = %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if len(up.keys) != 1 {
		t.Errorf("upstream was asked %d times", len(up.keys))
	}
}

// TestDoInTwoProcesses has two Doers on one database wait for each other.
func TestDoInTwoProcesses(t *testing.T) {
	r, up := newRig(t), &upstream{}
	other := idempotency.NewDoer(newStore(t, r.path), newSealer(t), time.Now)
	mine := idempotency.NewDoer(r.db, newSealer(t), time.Now)
	var wg sync.WaitGroup
	for _, d := range []*idempotency.Doer{mine, other, mine, other} {
		wg.Go(func() {
			if got, err := d.Do(t.Context(), mint, up.says("one", nil)); string(got) != "one" || err != nil {
				t.Errorf("Do() = %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if len(up.keys) != 1 {
		t.Errorf("upstream was asked %d times", len(up.keys))
	}
}

func TestReusedKey(t *testing.T) {
	r, up := newRig(t), &upstream{}
	begun, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := r.Do(t.Context(), mint, func(context.Context, string) ([]byte, error) {
			close(begun)
			<-finish
			return []byte("one"), nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	if _, err := r.Do(t.Context(), otherMint(), up.says("two", nil)); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("while the first is under way: %v, want ErrReused", err)
	}
	close(finish)
	wg.Wait()
	if _, err := r.Do(t.Context(), otherMint(), up.says("two", nil)); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("once the first is stored: %v, want ErrReused", err)
	}
	if len(up.keys) != 0 {
		t.Error("upstream was asked")
	}

	r.clock.Time = start.Add(mint.TTL)
	if got := r.mustDo(t, otherMint(), up.says("two", nil)); got != "two" {
		t.Errorf("after a day the key gives %q", got)
	}
}

func TestFailures(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name     string
		err      error
		released bool // the next try is a new intent, not the same again
	}{
		{"a refusal", apierror.New(http.StatusForbidden, "QUOTA_EXCEEDED", "too many"), true},
		{"a 400", apierror.New(http.StatusBadRequest, "INVALID_NAME", "no"), true},
		{"a 500", apierror.New(http.StatusInternalServerError, apierror.InternalError, "oops"), false},
		{"a bad gateway", apierror.New(http.StatusBadGateway, "PROVISION_ERROR", "down"), false},
		{"a time-out", apierror.New(http.StatusGatewayTimeout, "PROVISION_TIMEOUT", "late"), false},
		{"a lost connection", errors.New("connection reset"), false},
		{"a deadline", context.DeadlineExceeded, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, other, up := mint, otherMint(), &upstream{}
			first.Key = idempotency.Hash(tt.name)
			other.Key, r.again = first.Key, 0
			if answer, err := r.Do(t.Context(), first, up.says("", tt.err)); !errors.Is(err, tt.err) || answer != nil {
				t.Fatalf("Do() = %q, %v; want the error of the work", answer, err)
			}
			_, err := r.Do(t.Context(), other, up.says("", tt.err))
			if reused := errors.Is(err, idempotency.ErrReused); reused == tt.released {
				t.Errorf("another request under the key: %v", err)
			}
			up.keys = up.keys[:1]

			if got := r.mustDo(t, first, up.says("done", nil)); got != "done" {
				t.Errorf("the next try gets %q", got)
			}
			if same := up.keys[0] == up.keys[1]; same == tt.released {
				t.Errorf("the next try sends the same upstream key: %v", same)
			}
			if again := r.again == 1; again == tt.released {
				t.Errorf("%d tries counted as again", r.again)
			}
		})
	}
}

func TestTakeOver(t *testing.T) {
	r, up := newRig(t), &upstream{}
	dead := idempotency.Claim{Intent: mint, Owner: "dead", UpstreamKey: "0123456789abcdef0123456789abcdef"}
	if _, err := r.db.Claim(t.Context(), dead, start); err != nil {
		t.Fatal(err)
	}

	early := idempotency.Claim{Intent: mint, Owner: "early", UpstreamKey: "early"}
	if _, err := r.db.Claim(t.Context(), early, start.Add(idempotency.Lease-time.Microsecond)); !errors.Is(err, idempotency.ErrBusy) {
		t.Errorf("before the lease ends: %v, want ErrBusy", err)
	}
	r.clock.Time = start.Add(idempotency.Lease)
	if got := r.mustDo(t, mint, up.says("mine", nil)); got != "mine" {
		t.Errorf("after the lease: %q", got)
	}
	if len(up.keys) != 1 || up.keys[0] != dead.UpstreamKey || r.again != 1 {
		t.Errorf("upstream got %q, %d of them again; want the dead one's key, once", up.keys, r.again)
	}

	// The dead one was only slow: its answer comes too late to count.
	dead.Answer = []byte("late")
	if err := r.db.Complete(t.Context(), dead); !errors.Is(err, idempotency.ErrLost) {
		t.Errorf("Complete() = %v, want ErrLost", err)
	}
	if got := r.mustDo(t, mint, up.says("", nil)); got != "mine" {
		t.Errorf("then: %q", got)
	}
}

func TestDatabaseHoldsNoAnswer(t *testing.T) {
	r, up := newRig(t), &upstream{}
	const token = "obtk_0123456789abcdef0123456789abcdef"
	r.mustDo(t, mint, up.says(`{"token":"`+token+`"}`, nil))

	files, err := filepath.Glob(r.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(token)) {
			t.Errorf("%s holds the token", filepath.Base(file))
		}
		found = found || bytes.Contains(text, []byte(up.keys[0]))
	}
	if !found {
		t.Error("the files do not hold the claim either: this test proves nothing")
	}
}
