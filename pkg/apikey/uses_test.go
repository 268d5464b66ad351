package apikey_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/apikey"
)

// noting is a store that keeps what is noted of uses.
type noting struct {
	apikey.Store
	mu    sync.Mutex
	notes []map[string]time.Time
	err   error
}

func (n *noting) KeyByHash(_ context.Context, hash [32]byte) (apikey.Key, error) {
	return apikey.Key{ID: hexOf(hash)}, nil
}

func (n *noting) KeysUsed(_ context.Context, uses map[string]time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, uses)
	return n.err
}

func TestUsesAreNotedTogether(t *testing.T) {
	for name, failure := range map[string]error{"": nil, "by a store that fails": errors.New("disk full")} {
		t.Run("as they come "+name, func(t *testing.T) {
			n := &noting{err: failure}
			s := apikey.New(apikey.Config{Store: n, Prefix: prefix, Now: time.Now, Feed: &feed{}, Log: slog.New(slog.DiscardHandler)})
			synctest.Test(t, func(t *testing.T) { testUses(t, s, n) })
		})
	}
}

func testUses(t *testing.T, s *apikey.Service, n *noting) {
	t.Helper()
	verify := func(token string) string {
		t.Helper()
		key, err := s.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		return key.ID
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()

	one := verify(prefix + digits)
	time.Sleep(time.Second) // fake time
	later := time.Now().UTC()
	verify(prefix + digits)
	other := verify(prefix + digits[32:] + digits[:32])
	time.Sleep(time.Minute) // fake time
	synctest.Wait()
	last := time.Now().UTC()
	verify(prefix + digits)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := []map[string]time.Time{{one: later}, {one: last}}
	want[0][other] = later
	if diff := cmp.Diff(want, n.notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}
