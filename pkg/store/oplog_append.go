package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	// To the end of the transaction nobody else takes IDs of the user's operations.
	holdHead = `INSERT INTO sync_heads (user_id, head) VALUES ($1, 0)
		ON CONFLICT (user_id) DO UPDATE SET head = sync_heads.head RETURNING head`
	stepHead   = `UPDATE sync_heads SET head = head + $2 WHERE user_id = $1 RETURNING head`
	growBucket = `INSERT INTO sync_buckets (user_id, stream, count, checksum, void) VALUES ($1, $3, $2, $4, $5)
		ON CONFLICT (user_id, stream) DO UPDATE SET count = sync_buckets.count + excluded.count,
		checksum = (sync_buckets.checksum + excluded.checksum) & 4294967295, void = sync_buckets.void + excluded.void RETURNING bucket_id`
)

// holdHead keeps everybody else from writing operations of a user, to the end of the transaction, and returns the ID of the user's
// last one. It returns library.ErrNoUser for an account that is gone.
func (db *DB) holdHead(ctx context.Context, tx *sql.Tx, userID string) (head int64, err error) {
	err = tx.QueryRowContext(ctx, holdHead, userID).Scan(&head)
	if isOrphan(err) {
		err = library.ErrNoUser
	}
	return head, err
}

// batch is operations on their way into a bucket.
type batch struct {
	userID, stream string
	ops            []syncstream.Op
	checksum       int64 // the sum of theirs
	void           int64
}

// appendOps writes operations of a user's table, whose IDs it gives: the first gets the one it returns, the others follow. Void is how
// many operations of the bucket they make void. The caller holds the user's head, and tells of the change after its commit.
func (db *DB) appendOps(
	ctx context.Context, tx *sql.Tx, userID string, table *library.Table, ops []syncstream.Op, void int64,
) (first int64, err error) {
	b := batch{userID: userID, stream: table.Stream(), ops: ops, void: void}
	for _, op := range ops {
		b.checksum += int64(op.Checksum)
	}
	b.checksum &= 1<<32 - 1
	head, err := db.insertOps(ctx, tx, b)
	if errors.Is(err, sql.ErrNoRows) { // nobody holds the head of an account that is gone
		err = library.ErrNoUser
	}
	return head - int64(len(ops)) + 1, err
}

const insertOp = `INSERT INTO sync_ops (bucket_id, op_id, kind, table_name, object_id, checksum, data) VALUES ($1, $2, $3, $4, $5, $6, $7)`

// insertOpsSingly is the way of SQLite. It returns the ID of the last operation.
func insertOpsSingly(ctx context.Context, tx *sql.Tx, b batch) (head int64, err error) {
	ctx = context.WithoutCancel(ctx)
	if err := tx.QueryRowContext(ctx, stepHead, b.userID, len(b.ops)).Scan(&head); err != nil {
		return 0, err
	}
	var bucket int64
	err = tx.QueryRowContext(ctx, growBucket, b.userID, len(b.ops), b.stream, b.checksum, b.void).Scan(&bucket)
	if err != nil {
		return 0, err
	}
	before := head - int64(len(b.ops))
	for i, op := range b.ops {
		err := execIn(ctx, tx, insertOp,
			bucket, before+int64(i)+1, string(op.Kind), op.Table, op.ObjectID, int64(op.Checksum), op.Data)
		if err != nil {
			return 0, err
		}
	}
	return head, nil
}

const insertOps = `WITH head AS (` + stepHead + `), bucket AS (` + growBucket + `), added AS (
		INSERT INTO sync_ops (bucket_id, op_id, kind, table_name, object_id, checksum, data)
		SELECT bucket.bucket_id, head.head - $2 + o.n, o.kind, o.table_name, o.object_id, o.checksum, o.data
		FROM head, bucket, unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::bytea[])
		WITH ORDINALITY AS o (kind, table_name, object_id, checksum, data, n))
	SELECT head FROM head`

// insertOpsTogether is the way of Postgres: one round trip. It returns the ID of the last operation.
func insertOpsTogether(ctx context.Context, tx *sql.Tx, b batch) (head int64, err error) {
	err = tx.QueryRowContext(ctx, insertOps, b.userID, len(b.ops), b.stream, b.checksum, b.void,
		column(b.ops, func(op syncstream.Op) string { return string(op.Kind) }),
		column(b.ops, func(op syncstream.Op) string { return op.Table }),
		column(b.ops, func(op syncstream.Op) string { return op.ObjectID }),
		column(b.ops, func(op syncstream.Op) int64 { return int64(op.Checksum) }),
		column(b.ops, func(op syncstream.Op) []byte { return op.Data })).Scan(&head)
	return head, err
}
