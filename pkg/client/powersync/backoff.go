package powersync

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff says how long to wait after failures: half of it is chance, so that devices do not come back all at once.
type backoff struct{ first, longest time.Duration }

// after returns the wait after the nth failure in a row, from 1.
func (b backoff) after(n int) time.Duration {
	d := b.first
	for ; n > 1 && d < b.longest; n-- {
		d *= 2
	}
	d = min(d, b.longest)
	return d/2 + rand.N(d/2+1) //nolint:gosec // G404: no secret
}

// sleep returns false when ctx has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
