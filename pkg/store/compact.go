package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// compactChunk is how many operations one transaction looks at: uploads of their user wait no longer than that takes.
const compactChunk = 1000

const (
	bucketsToCompact = `SELECT bucket_id, user_id, stream, void FROM sync_buckets WHERE void > 0 AND void >= $1 ORDER BY void DESC`
	noteCompaction   = `UPDATE sync_buckets SET compacted = $2, count = count - $3, void = CASE WHEN void > $4 THEN void - $4 ELSE 0 END
		WHERE bucket_id = $1`
	forgetVoid = `UPDATE sync_buckets SET void = CASE WHEN void > $2 THEN void - $2 ELSE 0 END WHERE bucket_id = $1`

	firstOps   = `SELECT op_id, kind, checksum FROM sync_ops WHERE bucket_id = $1 ORDER BY op_id LIMIT $2`
	deleteRun  = `DELETE FROM sync_ops WHERE bucket_id = $1 AND op_id < $2`
	replaceRun = `UPDATE sync_ops SET kind = 'CLEAR', table_name = '', object_id = '', data = NULL, checksum = $3
		WHERE bucket_id = $1 AND op_id = $2`
)

// countVoid returns the statement that looks at the next $3 operations of bucket $1 after $2, which is user $4's: it returns the ID of
// the last and how many of them are void. A row of which no operation tells as it is now has its last one yet.
func countVoid(d dialect, t *library.Table) string {
	return `SELECT coalesce(max(page.op_id), 0), coalesce(sum(CASE WHEN page.kind = 'PUT' AND r.` + t.Key + ` IS NULL THEN 1 ELSE 0 END), 0)
		FROM (SELECT op_id, kind, object_id FROM sync_ops WHERE bucket_id = $1 AND op_id > $2 ORDER BY op_id LIMIT $3) AS page
		LEFT JOIN ` + t.Name + ` AS r ON ` + isTold(d, t, `page`)
}

// moveVoid returns the statement that makes the void ones of user $4's operations in bucket $1 after $2, up to and with $3, into MOVE.
func moveVoid(d dialect, t *library.Table) string {
	return `UPDATE sync_ops SET kind = 'MOVE', table_name = '', object_id = '', data = NULL
		WHERE bucket_id = $1 AND op_id > $2 AND op_id <= $3 AND kind = 'PUT'
		AND NOT EXISTS (SELECT 1 FROM ` + t.Name + ` AS r WHERE ` + isTold(d, t, `sync_ops`) + `)`
}

// isTold is the condition that an operation is the one that tells of row r, and r is user $4's.
func isTold(d dialect, t *library.Table, op string) string {
	return fmt.Sprintf(`r.%[1]s = nullif(%[2]s.object_id, '')%[3]s AND r.%[4]s = $4 AND (r.op_id = %[2]s.op_id OR r.op_id IS NULL)`,
		t.Key, op, d.asKey, t.Owner)
}

// forgetFirst returns the statement that has Backfill tell anew of the rows of the first $3 PUTs in bucket $1, user $2's, if the bucket
// has many more operations than there are rows: only what stands before every PUT can be cleared.
func forgetFirst(d dialect, t *library.Table) string {
	return fmt.Sprintf(`UPDATE %[1]s SET op_id = NULL WHERE %[3]s = $2 AND %[2]s IN (
			SELECT nullif(object_id, '')%[4]s FROM sync_ops WHERE bucket_id = $1 AND kind = 'PUT' ORDER BY op_id LIMIT $3)
		AND (SELECT count FROM sync_buckets WHERE bucket_id = $1) > 1000 + 2 * (SELECT count(*) FROM %[1]s WHERE %[3]s = $2)`,
		t.Name, t.Key, t.Owner, d.asKey)
}

// bucketToCompact is a bucket with void operations.
type bucketToCompact struct {
	id             int64
	userID, stream string
	void           int64
}

func scanBucketToCompact(r row) (bucketToCompact, error) {
	var b bucketToCompact
	err := r.Scan(&b.id, &b.userID, &b.stream, &b.void)
	return b, err
}

// Compact implements [syncstream.Compactor].
func (db *DB) Compact(ctx context.Context, void int64) (syncstream.Compacted, error) {
	var c syncstream.Compacted
	buckets, err := list(ctx, db, "find buckets to compact", scanBucketToCompact, bucketsToCompact, void)
	if err != nil {
		return c, err
	}
	for _, b := range buckets {
		err := db.compactBucket(ctx, b, &c)
		if err != nil && !errors.Is(err, library.ErrNoUser) && !isHeld(err) { // an account that is erased takes its buckets along
			return c, err
		}
	}
	return c, nil
}

// compactBucket counts what it does, before an error too.
func (db *DB) compactBucket(ctx context.Context, b bucketToCompact, c *syncstream.Compacted) error {
	i := slices.IndexFunc(library.Tables, func(t *library.Table) bool { return t.Stream() == b.stream })
	if i < 0 { // of a release with more tables
		return nil
	}
	t := library.Tables[i]
	moved, err := db.moveAll(ctx, b, t)
	c.Moved += moved
	var cleared int64
	if err == nil {
		cleared, err = db.clearAll(ctx, b)
		c.Cleared += cleared
	}
	if moved+cleared > 0 {
		c.Buckets++
	}
	if err != nil {
		return err
	}
	return db.tx(ctx, "forget first operations", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := db.holdHead(ctx, tx, b.userID); err != nil {
			return err
		}
		return execIn(ctx, tx, forgetFirst(db.dialect, t), b.id, b.userID, backfillChunk)
	})
}

// moveAll makes every void operation of a bucket into MOVE. What was counted void before and is not found was counted in error: rows
// that are changed by hand have more operations than anybody counts.
func (db *DB) moveAll(ctx context.Context, b bucketToCompact, t *library.Table) (moved int64, err error) {
	for after := int64(0); ; {
		page, err := find(ctx, db, "count void operations", sql.ErrNoRows, scanVoid,
			countVoid(db.dialect, t), b.id, after, compactChunk, b.userID)
		if err != nil {
			return moved, err
		}
		if page.last == 0 {
			break
		}
		if page.void > 0 {
			n, err := db.movePage(ctx, b, t, after, page.last)
			moved += n
			if err != nil {
				return moved, err
			}
		}
		after = page.last
	}
	if moved < b.void {
		_, err = db.exec(ctx, "forget void operations", forgetVoid, b.id, b.void-moved)
	}
	return moved, err
}

// voidPage is what countVoid found.
type voidPage struct{ last, void int64 }

func scanVoid(r row) (voidPage, error) {
	var p voidPage
	err := r.Scan(&p.last, &p.void)
	return p, err
}

// movePage makes the void operations of a bucket after one, up to and with the last, into MOVE.
func (db *DB) movePage(ctx context.Context, b bucketToCompact, t *library.Table, after, last int64) (moved int64, err error) {
	err = db.tx(ctx, "move operations", func(ctx context.Context, tx *sql.Tx) error {
		head, err := db.holdHead(ctx, tx, b.userID)
		if err != nil {
			return err
		}
		moved, err = changed(tx.ExecContext(ctx, moveVoid(db.dialect, t), b.id, after, last, b.userID))
		if err != nil || moved == 0 {
			return err
		}
		return execIn(ctx, tx, noteCompaction, b.id, head, 0, moved)
	})
	if err != nil {
		return 0, err
	}
	return moved, nil
}

// clearAll makes the leading run of a bucket's operations without PUT into one CLEAR, and returns how many fewer there are.
func (db *DB) clearAll(ctx context.Context, b bucketToCompact) (cleared int64, err error) {
	for {
		var n int64
		err := db.tx(ctx, "clear operations", func(ctx context.Context, tx *sql.Tx) (err error) {
			n, err = db.clearPage(ctx, tx, b)
			return err
		})
		if err != nil {
			return cleared, err
		}
		cleared += n
		if n < compactChunk-1 {
			return cleared, nil
		}
	}
}

// clearPage does so with at most compactChunk operations.
func (db *DB) clearPage(ctx context.Context, tx *sql.Tx, b bucketToCompact) (cleared int64, err error) {
	head, err := db.holdHead(ctx, tx, b.userID)
	if err != nil {
		return 0, err
	}
	rows, err := tx.QueryContext(ctx, firstOps, b.id, compactChunk)
	if err != nil {
		return 0, err
	}
	ops, err := scanAll(rows, scanOpSum)
	if err != nil {
		return 0, err
	}
	if i := slices.IndexFunc(ops, func(op opSum) bool { return op.kind == syncstream.Put }); i >= 0 {
		ops = ops[:i]
	}
	if len(ops) < 2 {
		return 0, nil
	}
	return int64(len(ops) - 1), db.replaceRun(ctx, tx, b, head, ops)
}

// opSum is of an operation what a CLEAR keeps of it.
type opSum struct {
	id       int64
	kind     syncstream.Kind
	checksum uint32
}

func scanOpSum(r row) (opSum, error) {
	var op opSum
	err := r.Scan(&op.id, (*string)(&op.kind), &op.checksum)
	return op, err
}

// replaceRun makes the first operations of a bucket into one CLEAR.
func (db *DB) replaceRun(ctx context.Context, tx *sql.Tx, b bucketToCompact, head int64, run []opSum) error {
	var checksum uint32
	for _, op := range run {
		checksum += op.checksum
	}
	last := run[len(run)-1].id
	if err := execIn(ctx, tx, deleteRun, b.id, last); err != nil {
		return err
	}
	if err := execIn(ctx, tx, replaceRun, b.id, last, int64(checksum)); err != nil {
		return err
	}
	return execIn(ctx, tx, noteCompaction, b.id, head, len(run)-1, 0)
}
