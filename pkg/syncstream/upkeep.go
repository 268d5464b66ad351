package syncstream

import (
	"context"
	"log/slog"
	"time"
)

const (
	upkeepEvery  = time.Minute
	backfillRows = 500 // at a time
	// WorthCompacting is how many void operations make a bucket worth the work.
	WorthCompacting = 1000
)

// Upkeep keeps buckets complete and short.
type Upkeep struct {
	Compactor Compactor
	Log       *slog.Logger
}

// Run does its work at once and then each minute, until ctx ends. What fails is tried again.
func (u Upkeep) Run(ctx context.Context) error {
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for {
		u.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (u Upkeep) round(ctx context.Context) {
	rows, err := Backfill(ctx, u.Compactor, func(int) {})
	if rows > 0 {
		u.Log.InfoContext(ctx, "rows without operations got them", "rows", rows)
	}
	if err == nil {
		var done Compacted
		done, err = u.Compactor.Compact(ctx, WorthCompacting)
		if done.Buckets > 0 {
			u.Log.DebugContext(ctx, "buckets compacted", "buckets", done.Buckets, "moved", done.Moved, "cleared", done.Cleared)
		}
	}
	if err != nil && ctx.Err() == nil {
		u.Log.WarnContext(ctx, "upkeep of buckets failed", "err", err)
	}
}

// Backfill writes operations for all rows that have none, some at a time, and returns for how many, before an error too. After each step
// it tells progress how many so far.
func Backfill(ctx context.Context, c Compactor, progress func(rows int)) (rows int, err error) {
	for {
		n, err := c.Backfill(ctx, backfillRows)
		rows += n
		if n == 0 || err != nil {
			return rows, err
		}
		progress(rows)
	}
}
