package replay_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/replay"
)

type storeFunc func(ctx context.Context, admissions []replay.Admission) ([]bool, error)

func (f storeFunc) Admit(ctx context.Context, admissions []replay.Admission) ([]bool, error) {
	return f(ctx, admissions)
}

// memory admits each nonce once, and counts its commits.
type memory struct {
	seen    sync.Map
	commits atomic.Int64
	delay   time.Duration
}

func (m *memory) Admit(_ context.Context, admissions []replay.Admission) ([]bool, error) {
	time.Sleep(m.delay) // fake time inside a synctest bubble
	m.commits.Add(1)
	fresh := make([]bool, len(admissions))
	for i, a := range admissions {
		_, seen := m.seen.LoadOrStore(a.Nonce, true)
		fresh[i] = !seen
	}
	return fresh, nil
}

func nonce(n int) replay.Admission {
	return replay.Admission{Nonce: [32]byte{byte(n), byte(n >> 8)}}
}

func TestAdmitOnce(t *testing.T) {
	guard := replay.NewGuard(&memory{})
	if err := guard.Admit(t.Context(), nonce(1)); err != nil {
		t.Fatalf("first: %v", err)
	}
	if err := guard.Admit(t.Context(), nonce(1)); !errors.Is(err, replay.ErrReplayed) {
		t.Errorf("second: %v, want ErrReplayed", err)
	}
}

func TestConcurrentAdmissionsShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{delay: time.Millisecond}
		guard := replay.NewGuard(store)

		var passed atomic.Int64
		var all sync.WaitGroup
		const requests = 1000
		for i := range 2 * requests {
			all.Go(func() {
				if guard.Admit(t.Context(), nonce(i/2)) == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()

		if passed.Load() != requests {
			t.Errorf("%d of %d requests, each sent twice, passed", passed.Load(), requests)
		}
		if n := store.commits.Load(); n > 20 {
			t.Errorf("%d commits for %d admissions", n, 2*requests)
		}
	})
}

func TestOutageFailsClosed(t *testing.T) {
	guard := replay.NewGuard(storeFunc(func(context.Context, []replay.Admission) ([]bool, error) {
		return nil, apierror.Unavailable(errors.New("connection refused"))
	}))
	err := guard.Admit(t.Context(), nonce(1))
	if apierror.From(err).Code != apierror.StoreUnavailable {
		t.Errorf("Admit() = %v, want STORE_UNAVAILABLE", err)
	}
}

func TestPoisonHarmsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := errors.New("invalid byte sequence")
		good := &memory{}
		guard := replay.NewGuard(storeFunc(func(ctx context.Context, admissions []replay.Admission) ([]bool, error) {
			time.Sleep(time.Millisecond) // fake time: lets a batch gather
			for _, a := range admissions {
				if a.Event != nil {
					return nil, poison
				}
			}
			return good.Admit(ctx, admissions)
		}))

		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				a, want := nonce(i), error(nil)
				if i == 25 {
					a.Event, want = &event.Event{}, poison
				}
				if err := guard.Admit(t.Context(), a); !errors.Is(err, want) {
					t.Errorf("admission %d: %v, want %v", i, err, want)
				}
			})
		}
		all.Wait()
	})
}

func TestWhatNobodyWaitsForIsNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{delay: time.Second}
		guard := replay.NewGuard(store)
		left, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()

		var all sync.WaitGroup
		all.Go(func() { _ = guard.Admit(t.Context(), nonce(0)) }) // holds the committer
		synctest.Wait()
		for i := range 1000 {
			all.Go(func() { _ = guard.Admit(left, nonce(1+i)) })
		}
		all.Wait()
		if err := guard.Admit(t.Context(), nonce(1)); err != nil {
			t.Errorf("the nonce of a caller that left is taken: %v", err)
		}
		if n := store.commits.Load(); n != 2 {
			t.Errorf("%d commits, want 2", n)
		}
	})
}

func TestBacklogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := replay.NewGuard(&memory{delay: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		var refused atomic.Int64
		var all sync.WaitGroup
		for i := range 10_000 {
			all.Go(func() {
				if err := guard.Admit(ctx, nonce(i)); apierror.From(err).Status == 503 && ctx.Err() == nil {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := refused.Load(); n < 1000 || n > 2000 {
			t.Errorf("%d of 10,000 refused at once", n)
		}
		cancel()
		all.Wait()
		time.Sleep(2 * time.Hour) // fake time: the committer ends inside the bubble
	})
}

func TestCallerThatGivesUpDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := replay.NewGuard(&memory{delay: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		start := time.Now()
		if err := guard.Admit(ctx, nonce(1)); apierror.From(err).Status != 503 || time.Since(start) != time.Second {
			t.Errorf("Admit() = %v after %s", err, time.Since(start))
		}
		time.Sleep(time.Minute) // fake time: the committer ends inside the bubble
	})
}
