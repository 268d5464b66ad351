package store

import (
	"context"
	"errors"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// These read tables or indexes whole, for an operator who asks. They lock nothing.
const (
	sumBuckets = `SELECT count(DISTINCT user_id), count(*), coalesce(sum(count), 0), coalesce(sum(void), 0) FROM sync_buckets`
	sumClients = `SELECT count(*) FROM sync_clients`
	sumLetters = `SELECT count(*), min(received_at) FROM sync_dead_letters`
)

// sumUntold returns the statement that counts the rows of a table without operation, by an index of those.
func sumUntold(t *library.Table) string {
	return `SELECT count(*) FROM ` + t.Name + ` WHERE op_id IS NULL`
}

// SyncStatus returns how much there is of what is synced, each count as of another moment.
func (db *DB) SyncStatus(ctx context.Context) (syncstream.Status, error) {
	var s syncstream.Status
	err := errors.Join(
		db.count(ctx, sumBuckets, &s.Users, &s.Buckets, &s.Ops, &s.Void),
		db.count(ctx, sumClients, &s.Clients),
		db.count(ctx, sumLetters, &s.DeadLetters, timeInto(&s.OldestDeadLetter)),
	)
	for _, t := range library.Tables {
		var untold int64
		err = errors.Join(err, db.count(ctx, sumUntold(t), &untold))
		s.Backlog += untold
	}
	return s, err
}

func (db *DB) count(ctx context.Context, statement string, into ...any) error {
	return attempt(ctx, "count what is synced", func(ctx context.Context) error {
		return db.read.QueryRowContext(ctx, statement).Scan(into...)
	})
}
