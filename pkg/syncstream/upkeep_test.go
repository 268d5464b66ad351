package syncstream_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

// compactor is a Compactor that counts.
type compactor struct {
	mu       sync.Mutex
	rows     []int // of each back-fill
	compacts int
	err      error
}

func (c *compactor) Compact(context.Context, int64) (syncstream.Compacted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compacts++
	return syncstream.Compacted{Buckets: 1}, c.err
}

func (c *compactor) Backfill(context.Context, int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rows) == 0 {
		return 0, c.err
	}
	n := c.rows[0]
	c.rows = c.rows[1:]
	return n, c.err
}

// now returns how many back-fills are left and how many compactions there were, and has those that come return err.
func (c *compactor) now(err error) (left, compacts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	return len(c.rows), c.compacts
}

func TestUpkeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, logged := &compactor{rows: []int{500, 500, 20}}, &bytes.Buffer{}
		work := syncstream.Upkeep{Compactor: c, Log: slog.New(slog.NewTextHandler(logged, nil))}
		ended := make(chan error)
		go func() { ended <- work.Run(ctx) }()

		synctest.Wait()
		if left, compacts := c.now(errDown); left != 0 || compacts != 1 {
			t.Errorf("at once: %d steps left, %d compactions", left, compacts)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, compacts := c.now(nil); compacts != 1 {
			t.Errorf("while the store is down, %d compactions", compacts)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, compacts := c.now(nil); compacts != 2 {
			t.Errorf("after the store is back, %d compactions", compacts)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
		for _, want := range []string{"rows=1020", "no answer"} {
			if !strings.Contains(logged.String(), want) {
				t.Errorf("the log does not say %s:\n%s", want, logged)
			}
		}
	})
}
