package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// backfillChunk is how many rows one transaction tells of: uploads of their user wait no longer than that takes, and rows may be
// large.
const backfillChunk = 200

// untoldOwners returns the statement that finds the users of the first $1 rows of which no operation tells yet.
func untoldOwners(t *library.Table) string {
	return fmt.Sprintf(`SELECT DISTINCT %[2]s FROM (
		SELECT %[2]s FROM %[1]s WHERE op_id IS NULL ORDER BY %[2]s, %[3]s LIMIT $1) AS page ORDER BY %[2]s`, t.Name, t.Owner, t.Key)
}

// tellRows returns the statement that gives rows with the IDs $2 their operations, the first of which is $1.
func tellRows(d dialect, t *library.Table) string {
	return fmt.Sprintf(`UPDATE %[1]s SET op_id = $1 + r.n FROM %[3]s WHERE %[1]s.%[2]s = r.id`, t.Name, t.Key, d.numberedIDs)
}

// Backfill implements [syncstream.Compactor].
func (db *DB) Backfill(ctx context.Context, limit int) (told int, err error) {
	for _, t := range library.Tables {
		if told >= limit {
			break
		}
		owners, err := list(ctx, db, "find rows without operation", scanString, untoldOwners(t), limit-told)
		if err != nil {
			return told, err
		}
		for _, owner := range owners {
			n, err := db.backfillUser(ctx, t, owner, limit-told)
			told += n
			if err != nil {
				return told, err
			}
		}
	}
	return told, nil
}

// backfillUser writes operations for at most limit rows of one user and table.
func (db *DB) backfillUser(ctx context.Context, t *library.Table, userID string, limit int) (told int, err error) {
	for told < limit {
		chunk := min(limit-told, backfillChunk)
		n := 0
		err := db.tx(ctx, "tell of rows", func(ctx context.Context, tx *sql.Tx) (err error) {
			n, err = db.tellOf(ctx, tx, t, userID, chunk)
			return err
		})
		switch {
		case errors.Is(err, library.ErrNoUser), isHeld(err): // erased meanwhile, or uploading for long
			return told, nil
		case n > 0:
			err = db.tellChanged(ctx, err, userID)
		}
		if err != nil {
			return told, err
		}
		if told += n; n < chunk {
			break
		}
	}
	return told, nil
}

// tellOf writes operations for at most limit rows, and returns for how many. Each is counted as if it made another void: of a row that
// was changed by hand it does, and what of other rows it does not, the next compaction finds.
func (db *DB) tellOf(ctx context.Context, tx *sql.Tx, t *library.Table, userID string, limit int) (told int, err error) {
	if _, err := db.holdHead(ctx, tx, userID); err != nil {
		return 0, err
	}
	sizes, err := queryAll(ctx, tx, scanInt, db.tables[t].untoldSizes, userID, limit)
	if err != nil || len(sizes) == 0 {
		return 0, err
	}
	rows, err := queryAll(ctx, tx, scanKept(t), db.tables[t].untold+db.skipLocked, userID, fitting(sizes))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	ops := column(rows, func(k library.Kept) syncstream.Op {
		return syncstream.NewPut(t.Name, k.ID, t.Encode(k.ID, userID, k.Row))
	})
	first, err := db.appendOps(ctx, tx, userID, t, ops, int64(len(ops)))
	if err != nil {
		return 0, err
	}
	ids := db.ids(column(rows, func(k library.Kept) string { return k.ID }))
	return len(rows), execIn(ctx, tx, tellRows(db.dialect, t), first, ids)
}
