// Package ratelimit counts events against limits, in the process or, with package redislimit, for all replicas together. What
// to count and what to refuse is decided elsewhere; [Attempts] knows the rules for sign-ins.
package ratelimit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/provisioner/provisioner/pkg/bound"
)

// Limit is how many events a key may have in a period; they come back evenly over it. The zero Limit limits nothing.
type Limit struct {
	Count  int
	Period time.Duration
}

// Off reports whether the limit limits nothing.
func (l Limit) Off() bool { return l.Count == 0 }

// Decision is the state of a key after an event.
type Decision struct {
	Allowed    bool
	Limit      int
	Remaining  int
	Reset      time.Duration // until the whole limit is there again
	RetryAfter time.Duration // until the event would be allowed; 0 if it was
}

// Limiter counts events. Implementations are safe for concurrent use.
type Limiter interface {
	// Take counts n events of key if limit allows all of them, and none if not. With n 0 it only looks: Allowed tells
	// whether one event would be. With n negative it gives back events that were counted.
	Take(ctx context.Context, key string, limit Limit, n int) (Decision, error)
}

// Unlimited is the decision of a limit that is off.
var Unlimited = Decision{Allowed: true}

const maxKeys = 100_000

// Memory counts in the process. It keeps the keys used last, up to a bound.
type Memory struct {
	buckets *otter.Cache[string, *bucket]
	now     func() time.Time
}

type bucket struct {
	limiter *rate.Limiter
	period  time.Duration
}

// NewMemory returns a Memory.
func NewMemory(now func() time.Time) *Memory {
	buckets := otter.Must(&otter.Options[string, *bucket]{
		MaximumSize: maxKeys,
		// A bucket that was left alone for its period is full again: forgetting it changes nothing.
		ExpiryCalculator: otter.ExpiryAccessingFunc(func(e otter.Entry[string, *bucket]) time.Duration { return e.Value.period }),
	})
	return &Memory{buckets: buckets, now: now}
}

// Bound is how many keys are counted: of more, those used last.
func (m *Memory) Bound() bound.Bound {
	return bound.Bound{What: "ratelimit_keys", Limit: maxKeys, Used: func() int64 { return int64(m.buckets.EstimatedSize()) }}
}

// Take implements [Limiter]. It never returns an error.
func (m *Memory) Take(_ context.Context, key string, limit Limit, n int) (Decision, error) {
	if limit.Off() {
		return Unlimited, nil
	}
	interval := limit.Period / time.Duration(limit.Count)
	b, _ := m.buckets.ComputeIfAbsent(key, func() (*bucket, bool) {
		return &bucket{limiter: rate.NewLimiter(rate.Every(interval), limit.Count), period: limit.Period}, false
	})

	now := m.now()
	allowed := b.limiter.AllowN(now, n)
	tokens := b.limiter.TokensAt(now)
	d := Decision{
		Allowed: allowed && (n != 0 || tokens >= 1), Limit: limit.Count, Remaining: min(max(0, int(tokens)), limit.Count),
		Reset: max(0, time.Duration((float64(limit.Count)-tokens)*float64(interval))),
	}
	if !d.Allowed {
		d.RetryAfter = time.Duration((float64(max(n, 1)) - tokens) * float64(interval))
	}
	return d, nil
}

// outagePause is how long the shared limiter is left alone after a failure: no request waits for it meanwhile.
const outagePause = time.Second

// Shared counts for all replicas together, and in the process while that fails.
type Shared struct {
	shared Limiter
	local  *Memory
	now    func() time.Time
	log    *slog.Logger
	until  atomic.Int64 // unix nanoseconds to which shared is left alone; 0 while it works
}

// NewShared returns a limiter that counts in shared, and in local while shared fails.
func NewShared(shared Limiter, local *Memory, now func() time.Time, log *slog.Logger) *Shared {
	return &Shared{shared: shared, local: local, now: now, log: log}
}

// Take implements [Limiter]. It never returns an error.
func (s *Shared) Take(ctx context.Context, key string, limit Limit, n int) (Decision, error) {
	if limit.Off() {
		return Unlimited, nil
	}
	until := s.until.Load()
	if s.now().UnixNano() < until {
		return s.local.Take(ctx, key, limit, n)
	}

	d, err := s.shared.Take(ctx, key, limit, n)
	if err != nil {
		if ctx.Err() == nil && s.until.Swap(s.now().Add(outagePause).UnixNano()) == 0 {
			s.log.WarnContext(ctx, "rate limits count in the process: the shared limiter fails", "err", err)
		}
		return s.local.Take(ctx, key, limit, n)
	}
	if until != 0 && s.until.CompareAndSwap(until, 0) {
		s.log.InfoContext(ctx, "rate limits count for all replicas again")
	}
	return d, nil
}
