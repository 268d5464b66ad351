package ratelimit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/ratelimit"
)

var start = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func (c *clock) wait(d time.Duration) { c.Time = c.Add(d) }

func newMemory() (*ratelimit.Memory, *clock) {
	c := &clock{start}
	return ratelimit.NewMemory(c.now), c
}

func mustTake(t *testing.T, l ratelimit.Limiter, key string, limit ratelimit.Limit, n int) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), key, limit, n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMemory(t *testing.T) {
	limit := ratelimit.Limit{Count: 4, Period: time.Minute} // one every 15 s
	m, c := newMemory()
	for _, step := range []struct {
		name string
		wait time.Duration
		n    int
		want ratelimit.Decision
	}{
		{"a look at a full limit", 0, 0, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 4}},
		{"the first", 0, 1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 3, Reset: 15 * time.Second}},
		{"two at once", 0, 2, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 1, Reset: 45 * time.Second}},
		{"two more are one too many", 0, 2, ratelimit.Decision{Limit: 4, Remaining: 1, Reset: 45 * time.Second, RetryAfter: 15 * time.Second}},
		{"none of them was counted", 0, 1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 0, Reset: time.Minute}},
		{"over the limit", 0, 1, ratelimit.Decision{Limit: 4, Remaining: 0, Reset: time.Minute, RetryAfter: 15 * time.Second}},
		{"a look says the same", 0, 0, ratelimit.Decision{Limit: 4, Remaining: 0, Reset: time.Minute, RetryAfter: 15 * time.Second}},
		{"a second early", 14 * time.Second, 1, ratelimit.Decision{Limit: 4, Remaining: 0, Reset: 46 * time.Second, RetryAfter: time.Second}},
		{"one came back", time.Second, 1, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 0, Reset: time.Minute}},
		{"all came back, no more", time.Hour, 0, ratelimit.Decision{Allowed: true, Limit: 4, Remaining: 4}},
	} {
		c.wait(step.wait)
		if diff := cmp.Diff(step.want, mustTake(t, m, "a", limit, step.n), nearly); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if d := mustTake(t, m, "b", limit, 4); !d.Allowed {
		t.Error("keys count for each other")
	}
}

// nearly takes durations for equal that differ by less than a microsecond: the bucket counts in floating point.
var nearly = cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Microsecond })

func TestLimitThatIsOff(t *testing.T) {
	m, _ := newMemory()
	for range 1000 {
		if d := mustTake(t, m, "a", ratelimit.Limit{}, 100); d != ratelimit.Unlimited {
			t.Fatalf("Take() = %+v", d)
		}
	}
}
