package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	// One statement sees one moment. A user without buckets has one without a name.
	selectSnapshot = `SELECT coalesce(h.head, 0), coalesce(c.write_checkpoint, 0), coalesce(b.stream, ''),
		coalesce(b.checksum, 0), coalesce(b.count, 0), coalesce(b.compacted, 0)
		FROM users u LEFT JOIN sync_heads h ON h.user_id = u.user_id
		LEFT JOIN sync_clients c ON c.user_id = u.user_id AND c.client_id = $2
		LEFT JOIN sync_buckets b ON b.user_id = u.user_id
		WHERE u.user_id = $1 AND u.disabled_at IS NULL ORDER BY b.stream`
	selectCompacted = `SELECT compacted FROM sync_buckets WHERE user_id = $1 AND stream = $2`

	selectOps = `SELECT op_id, kind, table_name, object_id, checksum, data FROM sync_ops
		WHERE bucket_id = (SELECT bucket_id FROM sync_buckets WHERE user_id = $1 AND stream = $2) AND op_id > $3 AND op_id <= $4
		ORDER BY op_id LIMIT $5`
	// The same, to the operation with which their data is of $6 bytes.
	selectOpsWithin = `SELECT op_id, kind, table_name, object_id, checksum, data FROM (
			SELECT *, sum(size) OVER (ORDER BY op_id) - size AS before FROM (
				SELECT *, coalesce(length(data), 0) AS size FROM (` + selectOps + `) AS page) AS sized
		) AS summed WHERE before < $6 ORDER BY op_id`

	// $5 says whether to step the counter; otherwise it is raised to $3.
	stepped = `CASE WHEN $5 AND sync_clients.write_checkpoint < 9223372036854775807 THEN sync_clients.write_checkpoint + 1
		WHEN $3 > sync_clients.write_checkpoint THEN $3 ELSE sync_clients.write_checkpoint END`
	stepClient = `UPDATE sync_clients SET write_checkpoint = ` + stepped + `, heard_at = $4 WHERE user_id = $1 AND client_id = $2
		AND EXISTS (SELECT 1 FROM users WHERE user_id = $1 AND disabled_at IS NULL) RETURNING write_checkpoint`
	insertClient = `INSERT INTO sync_clients (user_id, client_id, write_checkpoint, heard_at)
		SELECT user_id, $2, $3, $4 FROM users WHERE user_id = $1 AND disabled_at IS NULL
		ON CONFLICT (user_id, client_id) DO UPDATE SET write_checkpoint = ` + stepped + `, heard_at = excluded.heard_at
		RETURNING write_checkpoint`
	forgetClients = `DELETE FROM sync_clients WHERE user_id = $1 AND client_id IN (
		SELECT client_id FROM sync_clients WHERE user_id = $1 ORDER BY heard_at DESC, client_id LIMIT $3 OFFSET $2)`
)

// Snapshot implements [syncstream.Store].
func (db *DB) Snapshot(ctx context.Context, userID, clientID string) (syncstream.Snapshot, error) {
	var s syncstream.Snapshot
	if !isID(userID) {
		return s, syncstream.ErrNoUser
	}
	scan := func(r row) (b syncstream.Bucket, err error) {
		err = r.Scan(&s.Head, &s.WriteCheckpoint, &b.Stream, &b.Checksum, &b.Count, &b.Compacted)
		return b, err
	}
	buckets, err := list(ctx, db, "take snapshot of buckets", scan, selectSnapshot, userID, storable(clientID))
	switch {
	case err != nil:
		return syncstream.Snapshot{}, err
	case len(buckets) == 0:
		return s, syncstream.ErrNoUser
	case buckets[0].Stream != "":
		s.Buckets = buckets
	}
	return s, nil
}

// Ops implements [syncstream.Store].
func (db *DB) Ops(ctx context.Context, p syncstream.Page) ([]syncstream.Op, error) {
	if !isID(p.UserID) || !isText(p.Stream) {
		return nil, nil
	}
	var ops []syncstream.Op
	err := attempt(ctx, "read operations", func(ctx context.Context) (err error) {
		ops, err = db.readOps(ctx, db.read, p)
		return err
	})
	return ops, err
}

// readOpsSingly is the way of SQLite, which reads an operation when it is asked for it.
func readOpsSingly(ctx context.Context, pool *sql.DB, p syncstream.Page) ([]syncstream.Op, error) {
	rows, err := pool.QueryContext(ctx, selectOps, p.UserID, p.Stream, p.After, p.UpTo, p.Ops)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what went wrong
	var ops []syncstream.Op
	for size := 0; size < max(p.Bytes, 1) && rows.Next(); size += len(ops[len(ops)-1].Data) {
		op, err := scanOp(rows)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, rows.Err()
}

// readOpsTogether is the way of Postgres, which would send what is not asked for too. Of data that it does not send it reads but the
// length.
func readOpsTogether(ctx context.Context, pool *sql.DB, p syncstream.Page) ([]syncstream.Op, error) {
	rows, err := pool.QueryContext(ctx, selectOpsWithin, p.UserID, p.Stream, p.After, p.UpTo, p.Ops, max(p.Bytes, 1))
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanOp)
}

func scanOp(r row) (syncstream.Op, error) {
	var op syncstream.Op
	err := r.Scan(&op.ID, (*string)(&op.Kind), &op.Table, &op.ObjectID, &op.Checksum, &op.Data)
	return op, err
}

// Compacted implements [syncstream.Store].
func (db *DB) Compacted(ctx context.Context, userID, stream string) (int64, error) {
	if !isID(userID) || !isText(stream) {
		return 0, syncstream.ErrNoUser
	}
	return find(ctx, db, "find bucket", syncstream.ErrNoUser, scanInt, selectCompacted, userID, stream)
}

func scanInt(r row) (int64, error) {
	var n int64
	err := r.Scan(&n)
	return n, err
}

// WriteCheckpoint implements [syncstream.Store]. For a client that is known it costs one statement.
func (db *DB) WriteCheckpoint(
	ctx context.Context, userID, clientID string, atLeast int64, now time.Time,
) (checkpoint int64, err error) {
	const op = "step write checkpoint"
	if !isID(userID) {
		return 0, syncstream.ErrNoUser
	}
	args := []any{userID, storable(clientID), max(atLeast, 1), db.at(now), atLeast == 0}
	checkpoint, err = change(ctx, db, op, syncstream.ErrNoUser, scanInt, stepClient, args...)
	if errors.Is(err, syncstream.ErrNoUser) {
		err = db.tx(ctx, op, func(ctx context.Context, tx *sql.Tx) (err error) {
			checkpoint, err = scanInt(tx.QueryRowContext(ctx, insertClient, args...))
			if errors.Is(err, sql.ErrNoRows) {
				return syncstream.ErrNoUser
			}
			if err != nil {
				return err
			}
			return execIn(ctx, tx, forgetClients, userID, syncstream.MaxClients, orAll(0))
		})
	}
	return checkpoint, db.tellChanged(ctx, err, userID)
}

// storable returns the name of a client as a text column can hold it. What differs only in what cannot be held shares a counter, which
// does no harm.
func storable(clientID string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(clientID, "\uFFFD"), "\x00", "\uFFFD")
}
