package redislimit_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/ratelimit/redislimit"
	"github.com/provisioner/provisioner/test/redis"
)

var hourly = ratelimit.Limit{Count: 3, Period: time.Hour}

// newLimiter returns a Limiter that is connected and has its script loaded: on a busy machine both may take longer than it waits.
func newLimiter(t *testing.T, server *redis.Server) *redislimit.Limiter {
	t.Helper()
	l, err := redislimit.Open(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	await(t, "Redis answers", func() bool {
		_, err := l.Take(t.Context(), "warm", hourly, 0)
		return err == nil
	})
	return l
}

// await polls until condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		}
	}
}

func mustTake(t *testing.T, l ratelimit.Limiter, key string, limit ratelimit.Limit, n int) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), key, limit, n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAsInMemory asks Redis and the process the same, of a period so long that nothing comes back meanwhile.
func TestAsInMemory(t *testing.T) {
	limit := ratelimit.Limit{Count: 4, Period: 40 * time.Hour}
	const each = 10 * time.Hour
	for name, l := range map[string]ratelimit.Limiter{
		"Memory": ratelimit.NewMemory(time.Now), "Redis": newLimiter(t, redis.Start(t)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []struct {
				name  string
				key   string
				limit ratelimit.Limit
				n     int
				want  ratelimit.Decision
			}{
				{"a look at a full limit", "a", limit, 0, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 4}},
				{"the first", "a", limit, 1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 3, Reset: each}},
				{"two at once", "a", limit, 2, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 1, Reset: 3 * each}},
				{"two more are one too many", "a", limit, 2, ratelimit.Decision{Limit: 4, Remaining: 1, Reset: 3 * each, RetryAfter: each}},
				{"none of them was counted", "a", limit, 1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 0, Reset: 4 * each}},
				{"over the limit", "a", limit, 1, ratelimit.Decision{Limit: 4, Remaining: 0, Reset: 4 * each, RetryAfter: each}},
				{"a look says the same", "a", limit, 0, ratelimit.Decision{Limit: 4, Remaining: 0, Reset: 4 * each, RetryAfter: each}},
				{"one is given back", "a", limit, -1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 1, Reset: 3 * each}},
				{"and taken again", "a", limit, 1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 0, Reset: 4 * each}},
				{"what was never taken is not given back", "c", limit, -1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 4}},
				{"so there is no more than all", "c", limit, 4, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 0, Reset: 4 * each}},
				{"another key", "b", limit, 4, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 0, Reset: 4 * each}},
				{"a limit that is off", "a", ratelimit.Limit{}, 1000, ratelimit.Unlimited},
			} {
				got := mustTake(t, l, step.key, step.limit, step.n)
				if diff := cmp.Diff(step.want, got, nearly); diff != "" {
					t.Errorf("%s (-want +got):\n%s", step.name, diff)
				}
			}
		})
	}
}

// nearly takes durations for equal that differ by what the test itself may take.
var nearly = cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Minute })

func TestReplicasShareALimit(t *testing.T) {
	server := redis.Start(t)
	one, two := newLimiter(t, server), newLimiter(t, server)
	for i, l := range []ratelimit.Limiter{one, two, one} {
		if d := mustTake(t, l, "a", hourly, 1); !d.Allowed || d.Remaining != 2-i {
			t.Errorf("event %d: %+v", i, d)
		}
	}
	for _, l := range []ratelimit.Limiter{one, two} {
		if d := mustTake(t, l, "a", hourly, 1); d.Allowed {
			t.Error("a fourth event is allowed")
		}
	}
}

func TestEventsComeBack(t *testing.T) {
	l := newLimiter(t, redis.Start(t))
	limit := ratelimit.Limit{Count: 2, Period: 2 * time.Second}
	if d := mustTake(t, l, "a", limit, 2); !d.Allowed {
		t.Fatalf("two events: %+v", d)
	}
	await(t, "one event comes back", func() bool { return mustTake(t, l, "a", limit, 0).Allowed })
	if d := mustTake(t, l, "a", limit, 2); d.Allowed {
		t.Error("both came back at once")
	}
	await(t, "the whole limit comes back", func() bool { return mustTake(t, l, "a", limit, 0).Remaining == 2 })
}

func TestOpenHidesThePassword(t *testing.T) {
	for _, url := range []string{"", "http://user:hunter2@localhost", "redis://user:hunter2@local host:6379"} {
		if _, err := redislimit.Open(url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v", url, err)
		}
	}
}

func TestSharedCountsInTheProcessMeanwhile(t *testing.T) {
	server := redis.Start(t)
	now := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	var log bytes.Buffer
	shared := ratelimit.NewShared(newLimiter(t, server), ratelimit.NewMemory(clock), clock, slog.New(slog.NewTextHandler(&log, nil)))

	if d := mustTake(t, shared, "a", hourly, 2); !d.Allowed || d.Remaining != 1 {
		t.Errorf("in Redis: %+v", d)
	}

	server.Stop()
	for i := range 5 {
		now = now.Add(2 * time.Second) // each tries Redis again
		if d := mustTake(t, shared, "a", hourly, 1); d.Allowed != (i < 3) || d.Limit != 3 {
			t.Errorf("event %d in the process: %+v", i, d)
		}
	}
	if n := strings.Count(log.String(), "the shared limiter fails"); n != 1 {
		t.Errorf("the outage is logged %d times:\n%s", n, &log)
	}

	server.Start() // empty
	if d := mustTake(t, shared, "a", hourly, 1); d.Allowed {
		t.Errorf("Redis is asked before the pause ends: %+v", d)
	}
	await(t, "Redis counts again", func() bool {
		now = now.Add(2 * time.Second)
		return mustTake(t, shared, "b", hourly, 0).Remaining == 3 && strings.Contains(log.String(), "for all replicas again")
	})
	if d := mustTake(t, shared, "a", hourly, 3); !d.Allowed {
		t.Errorf("in Redis again: %+v", d)
	}
	if d := mustTake(t, shared, "a", ratelimit.Limit{}, 100); d != ratelimit.Unlimited {
		t.Errorf("a limit that is off: %+v", d)
	}
}

// hanging is a shared limiter that its caller leaves.
type hanging struct{ calls int }

func (h *hanging) Take(ctx context.Context, _ string, _ ratelimit.Limit, _ int) (ratelimit.Decision, error) {
	h.calls++
	return ratelimit.Decision{}, ctx.Err()
}

func TestCallersThatLeaveAreNoOutage(t *testing.T) {
	h := &hanging{}
	shared := ratelimit.NewShared(h, ratelimit.NewMemory(time.Now), time.Now, slog.New(slog.DiscardHandler))
	left, leave := context.WithCancel(t.Context())
	leave()
	for range 2 {
		if d, err := shared.Take(left, "a", hourly, 1); err != nil || !d.Allowed {
			t.Errorf("Take() = %+v, %v", d, err)
		}
	}
	if h.calls != 2 {
		t.Error("the shared limiter is left alone because a caller left")
	}
}
