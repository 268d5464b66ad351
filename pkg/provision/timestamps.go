package provision

import (
	"hash/maphash"
	"sync"
	"time"
)

// generation is how long, in milliseconds, a body is remembered at least.
const generation = 1000

// timestamps gives each body times of its own: two equal bodies signed in one millisecond would have one signature, and the
// second would be taken for a replay. It is safe for concurrent use.
type timestamps struct {
	seed maphash.Seed

	mu                sync.Mutex
	current, previous map[uint64]int64 // by hash of the body: the last time given, in milliseconds
	began             int64            // of current
}

func newTimestamps() *timestamps {
	return &timestamps{seed: maphash.MakeSeed(), current: map[uint64]int64{}}
}

// next returns now, to the millisecond, or the first time after it that no equal body was given.
func (t *timestamps) next(now time.Time, body []byte) time.Time {
	key, milliseconds := maphash.Bytes(t.seed, body), now.UnixMilli()

	t.mu.Lock()
	defer t.mu.Unlock()
	if milliseconds < t.began-generation { // the clock was set back: what was given before is now in the future
		t.current, t.previous, t.began = make(map[uint64]int64), nil, milliseconds
	}
	if milliseconds-t.began >= generation {
		t.previous, t.current, t.began = t.current, make(map[uint64]int64), milliseconds
	}
	milliseconds = max(milliseconds, t.current[key]+1, t.previous[key]+1)
	t.current[key] = milliseconds
	return time.UnixMilli(milliseconds)
}
