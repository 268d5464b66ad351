package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"slices"
	"time"

	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/replay"
)

// Admit implements [replay.Store].
func (db *DB) Admit(ctx context.Context, admissions []replay.Admission) ([]bool, error) {
	var fresh []bool
	err := db.tx(ctx, "admit requests", func(ctx context.Context, tx *sql.Tx) (err error) {
		fresh, err = db.insertNonces(ctx, tx, admissions)
		if err != nil {
			return err
		}
		if events := eventsOf(admissions, fresh); len(events) > 0 {
			return db.insertEvents(ctx, tx, events)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return fresh, nil
}

func eventsOf(admissions []replay.Admission, fresh []bool) []*event.Event {
	var events []*event.Event
	for i, a := range admissions {
		if fresh[i] && a.Event != nil {
			events = append(events, a.Event)
		}
	}
	return events
}

const insertNonce = `INSERT INTO nonces (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`

// insertNoncesSingly is the way of SQLite, where a statement costs no round trip: less than to listen for its cancellation.
func insertNoncesSingly(ctx context.Context, tx *sql.Tx, admissions []replay.Admission) ([]bool, error) {
	ctx = context.WithoutCancel(ctx)
	fresh := make([]bool, len(admissions))
	for i, a := range admissions {
		n, err := changed(tx.ExecContext(ctx, insertNonce, a.Nonce[:], microseconds(a.Expires)))
		if err != nil {
			return nil, err
		}
		fresh[i] = n == 1
	}
	return fresh, nil
}

const insertNonces = `INSERT INTO nonces (nonce, expires_at) SELECT * FROM unnest($1::bytea[], $2::timestamptz[])
	ON CONFLICT DO NOTHING RETURNING nonce`

// insertNoncesTogether is the way of Postgres: one round trip for a batch.
func insertNoncesTogether(ctx context.Context, tx *sql.Tx, admissions []replay.Admission) ([]bool, error) {
	keys := column(admissions, func(a replay.Admission) [sha256.Size]byte { return a.Nonce })
	order := distinct(keys)
	expires := make([]time.Time, len(order))
	for i, at := range order {
		expires[i] = admissions[at].Expires
	}
	return insertNew(ctx, tx, keys, order, insertNonces, expires)
}

// distinct returns where each key stands first, in the order of the keys. Batches that all insert in that order wait for
// each other, but never in a circle.
func distinct(keys [][sha256.Size]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	compare := func(a, b int) int { return bytes.Compare(keys[a][:], keys[b][:]) }
	slices.SortStableFunc(order, compare)
	return slices.CompactFunc(order, func(a, b int) bool { return keys[a] == keys[b] })
}

// insertNew runs a statement that takes, as arrays, the keys in order and more of their columns, and that returns the keys it
// inserted. It tells for each of keys whether it was inserted; of equal ones, the first.
func insertNew(
	ctx context.Context, tx *sql.Tx, keys [][sha256.Size]byte, order []int, statement string, columns ...any,
) ([]bool, error) {
	sorted := make([][]byte, len(order))
	for i, at := range order {
		sorted[i] = keys[at][:]
	}
	rows, err := tx.QueryContext(ctx, statement, append([]any{sorted}, columns...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what went wrong

	inserted := make(map[[sha256.Size]byte]bool, len(order))
	for rows.Next() {
		var key [sha256.Size]byte
		if err := rows.Scan(digestInto(&key)); err != nil {
			return nil, err
		}
		inserted[key] = true
	}
	fresh := make([]bool, len(keys))
	for _, at := range order {
		fresh[at] = inserted[keys[at]]
	}
	return fresh, rows.Err()
}

// column returns one field of each row.
func column[R, F any](rows []R, field func(R) F) []F {
	fields := make([]F, len(rows))
	for i, r := range rows {
		fields[i] = field(r)
	}
	return fields
}
