package revocation

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/provisioner/provisioner/pkg/bound"
)

// MaxAge is how long something is remembered at most, should notices get lost unnoticed.
const MaxAge = 5 * time.Second

const maxEntries = 10_000 // few enough to look through for each notice

// Cache remembers values until they are MaxAge old or a notice concerns them.
type Cache[K comparable, V any] struct {
	feed     Feed
	values   *otter.Cache[K, *V] // of pointers, so that the caches share their code
	concerns func(Notice, V) bool
	notices  atomic.Uint64 // so far
}

// NewCache returns a Cache of feed. Concerns tells whether a notice, never the zero one, concerns a value.
func NewCache[K comparable, V any](feed Feed, concerns func(Notice, V) bool) *Cache[K, V] {
	c := &Cache[K, V]{feed: feed, concerns: concerns, values: otter.Must(&otter.Options[K, *V]{
		MaximumSize: maxEntries, ExpiryCalculator: otter.ExpiryWriting[K, *V](MaxAge),
	})}
	feed.Subscribe(c.forget)
	return c
}

// Bound is how many values are remembered: of more, those used last. What names them in the metrics.
func (c *Cache[K, V]) Bound(what string) bound.Bound {
	return bound.Bound{Service: "papyrus", What: what, Limit: maxEntries, Used: func() int64 { return int64(c.values.EstimatedSize()) }}
}

// Get returns the value of key, from load unless it is remembered. Errors are not remembered.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	if !c.feed.Up() {
		return load(ctx)
	}
	if v, ok := c.values.GetIfPresent(key); ok {
		return *v, nil
	}

	before := c.notices.Load()
	v, err := load(ctx)
	if err != nil {
		return v, err
	}
	// A notice that came while load ran may concern the value, and one that comes now must find it.
	if c.notices.Load() == before {
		c.values.Set(key, &v)
		if c.notices.Load() != before {
			c.values.Invalidate(key)
		}
	}
	return v, nil
}

func (c *Cache[K, V]) forget(n Notice) {
	c.notices.Add(1)
	if n == (Notice{}) {
		c.values.InvalidateAll()
		return
	}
	for key, v := range c.values.All() {
		if c.concerns(n, *v) {
			c.values.Invalidate(key)
		}
	}
}
