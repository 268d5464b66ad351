package powersync

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// target is the checkpoint that a stream is downloading.
type target struct {
	buckets         map[string]bucketState
	writeCheckpoint sql.NullInt64 // of this checkpoint or an earlier one of the stream
	complete        bool          // received, and verified
}

func (t *target) begin(c *checkpoint) {
	t.buckets = make(map[string]bucketState, len(c.Buckets))
	t.aim(c.Buckets, c.WriteCheckpoint)
}

func (t *target) change(d *checkpointDiff) {
	t.aim(d.Updated, d.WriteCheckpoint)
	for _, name := range d.Removed {
		delete(t.buckets, name)
	}
}

func (t *target) aim(buckets []bucketState, writeCheckpoint *decimal) {
	for _, b := range buckets {
		t.buckets[b.Bucket] = b
	}
	if writeCheckpoint != nil {
		t.writeCheckpoint = sql.NullInt64{Int64: int64(*writeCheckpoint), Valid: true}
	}
	t.complete = false
}

// prepare drops the buckets that are not part of the target, and returns how many operations there are still to come.
func (db *DB) prepare(ctx context.Context, t *target) (expected int64, err error) {
	names, err := json.Marshal(slices.AppendSeq([]string{}, maps.Keys(t.buckets)))
	if err != nil {
		return 0, err
	}
	err = db.change(ctx, db.sync, func(tx *sql.Tx) error {
		gone, err := ids(tx.QueryContext(ctx, `SELECT id FROM ps_buckets WHERE name NOT IN (SELECT value FROM json_each(?))`, string(names)))
		if err != nil {
			return err
		}
		if err := db.oplog.in(ctx, tx).drop(ctx, tx, gone); err != nil {
			return err
		}
		for name, state := range t.buckets {
			b, err := bucketByName(ctx, tx, name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE ps_buckets SET priority = ?1 WHERE id = ?2 AND priority <> ?1`, state.priority(), b.id); err != nil {
				return err
			}
			expected += max(0, state.Count-b.ops)
		}
		return nil
	})
	return expected, err
}

// lowest is below every priority: a checkpoint up to it is the whole one.
const lowest = 1<<63 - 1

// finish verifies what was received of the target up to a priority, and shows it to the app, unless something that this device has
// written is not part of it yet. Buckets that do not add up are dropped, and the error is ErrChecksum.
func (db *DB) finish(ctx context.Context, t *target, priority int64) error {
	var wrong error
	err := db.change(ctx, db.sync, func(tx *sql.Tx) error {
		var dropped []int64
		for name, state := range t.buckets {
			if state.priority() > priority {
				continue
			}
			b, err := bucketByName(ctx, tx, name)
			if err != nil {
				return err
			}
			want := uint32(state.Checksum) //nolint:gosec // G115: its 32 bits, signed or not
			if b.held+b.gone != want {
				wrong = fmt.Errorf("%w: those of %.100q up to %d sum up to %d instead of %d", ErrChecksum, name, b.lastOp, b.held+b.gone, want)
				dropped = append(dropped, b.id)
			}
			if _, err := tx.ExecContext(ctx, `UPDATE ps_buckets SET ops = ?1 WHERE id = ?2 AND ops <> ?1`, state.Count, b.id); err != nil {
				return err
			}
		}
		if wrong != nil {
			return db.oplog.in(ctx, tx).drop(ctx, tx, dropped)
		}
		return db.show(ctx, tx, t, priority)
	})
	if wrong != nil && err == nil {
		return wrong
	}
	t.complete = err == nil && priority == lowest
	return err
}

// show has the app see the target up to a priority.
func (db *DB) show(ctx context.Context, tx *sql.Tx, t *target, priority int64) error {
	if priority == lowest {
		if _, err := tx.ExecContext(ctx, `UPDATE ps_device SET seen = coalesce(?, seen)`, t.writeCheckpoint); err != nil {
			return err
		}
	}
	var owed bool // something that this device has written is not part of the target
	err := tx.QueryRowContext(ctx, `SELECT target > seen OR EXISTS (SELECT * FROM ps_crud) FROM ps_device`).Scan(&owed)
	if err != nil || owed && priority > 0 {
		return err
	}
	if err := db.apply(ctx, tx, priority, owed); err != nil {
		return err
	}
	if priority < lowest {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM ps_stale`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE ps_device SET applied = seen, synced_at = ?`, db.now().UnixMicro()); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, changed(deviceChanges))
	return err
}

// apply makes the rows anew of which the buckets up to a priority have news, but where something is owed not those that the app
// changed.
func (db *DB) apply(ctx context.Context, tx *sql.Tx, priority int64, owed bool) error {
	_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO ps_stale (type, row_id, why)
SELECT o.type, o.row_id, 0 FROM ps_buckets b JOIN ps_oplog o ON o.bucket = b.id AND o.op_id > b.applied_op WHERE b.priority <= ?`, priority)
	if err != nil {
		return err
	}
	for _, t := range db.schema {
		if t.LocalOnly {
			continue
		}
		if err := t.apply(ctx, tx, priority, owed); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE ps_buckets SET applied_op = last_op WHERE priority <= ? AND applied_op <> last_op`, priority)
	return err
}

// apply makes the table's stale rows anew. A row that several buckets have is as its last operation says. Of buckets of a later priority
// only those operations count that the app has been shown, and none of their rows is gone yet.
func (t Table) apply(ctx context.Context, tx *sql.Tx, priority int64, owed bool) error {
	const stale = `s.type = ?1 AND NOT (s.why = 2 AND ?3)`
	current := fmt.Sprintf(`o.type = ?1 AND o.row_id = s.row_id AND (?2 = %d OR
EXISTS (SELECT * FROM ps_buckets b WHERE b.id = o.bucket AND (b.priority <= ?2 OR o.op_id <= b.applied_op)))`, lowest)
	var rows int64
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO %s (id, data)
SELECT row_id, data FROM (SELECT s.row_id, o.data, max(o.op_id) FROM ps_stale s CROSS JOIN ps_oplog o ON %s WHERE %s GROUP BY s.row_id) WHERE true
ON CONFLICT (id) DO UPDATE SET data = excluded.data WHERE data <> excluded.data`, t.rows(), current, stale),
		fmt.Sprintf(`DELETE FROM %s WHERE id IN
(SELECT s.row_id FROM ps_stale s WHERE %s AND s.why > 0 AND s.priority <= ?2 AND NOT EXISTS (SELECT * FROM ps_oplog o WHERE %s))`, t.rows(), stale, current),
	} {
		done, err := tx.ExecContext(ctx, statement, t.Name, priority, owed)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		rows += n
	}
	if rows == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, changed(t.Name))
	return err
}

// ids returns the rows of a query of one number, and closes them.
func ids(rows *sql.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, rows.Err()
}
