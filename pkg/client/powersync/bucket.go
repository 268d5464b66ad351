package powersync

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrChecksum is the error of a download whose operations are not those that the server summed up. The buckets concerned are downloaded
// again from their beginning; what the app sees is not touched until they add up.
var ErrChecksum = errors.New("checksums do not match")

// bucket is one as far as it was received.
type bucket struct {
	id         int64
	lastOp     int64
	held, gone uint32 // sums of the operations that are kept, and of all others
	ops        int64  // received
}

func bucketByName(ctx context.Context, tx *sql.Tx, name string) (bucket, error) {
	var b bucket
	err := tx.QueryRowContext(ctx, `INSERT INTO ps_buckets (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name
RETURNING id, last_op, held_sum, gone_sum, ops`, name).Scan(&b.id, &b.lastOp, &b.held, &b.gone, &b.ops)
	return b, err
}

func (b *bucket) save(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE ps_buckets SET last_op = ?, held_sum = ?, gone_sum = ?, ops = ? WHERE id = ?`,
		b.lastOp, b.held, b.gone, b.ops, b.id)
	return err
}

// receive keeps a page of operations, all or none.
func (db *DB) receive(ctx context.Context, p *page) error {
	return db.change(ctx, db.sync, func(tx *sql.Tx) error {
		b, err := bucketByName(ctx, tx, p.Bucket)
		if err != nil {
			return err
		}
		log := db.oplog.in(ctx, tx)
		for i := range p.Ops {
			if err := log.add(ctx, &b, &p.Ops[i]); err != nil {
				return fmt.Errorf("operation %d of %.100q: %w", p.Ops[i].ID, p.Bucket, err)
			}
		}
		b.ops += int64(len(p.Ops))
		return b.save(ctx, tx)
	})
}

// oplog are the statements that are run for each operation received.
type oplog struct {
	supersede, insert, stale, staleAll, removeAll *sql.Stmt
	contentSums                                   bool
}

// staler is what becomes of a row that was stale before it may be gone.
const staler = ` ON CONFLICT DO UPDATE SET why = max(why, 1), priority = max(priority, excluded.priority)`

func newOplog(ctx context.Context, db *DB) (*oplog, error) {
	l := &oplog{contentSums: db.contentSums}
	for _, s := range []struct {
		into **sql.Stmt
		text string
	}{
		{&l.supersede, `DELETE FROM ps_oplog WHERE type = ? AND row_id = ? AND bucket = ? AND subkey = ? RETURNING checksum`},
		{&l.insert, `INSERT INTO ps_oplog (type, row_id, bucket, subkey, op_id, checksum, data) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING`},
		{&l.stale, `INSERT INTO ps_stale (type, row_id, why, priority) SELECT ?, ?, 1, priority FROM ps_buckets WHERE id = ?` + staler},
		{&l.staleAll, `INSERT INTO ps_stale (type, row_id, why, priority)
SELECT o.type, o.row_id, 1, b.priority FROM ps_oplog o JOIN ps_buckets b ON b.id = o.bucket WHERE b.id = ?` + staler},
		{&l.removeAll, `DELETE FROM ps_oplog WHERE bucket = ?`},
	} {
		prepared, err := db.sync.PrepareContext(ctx, s.text) //nolint:sqlclosecheck // closed with its pool
		if err != nil {
			return nil, err
		}
		*s.into = prepared
	}
	return l, nil
}

// in returns the statements as part of a transaction.
func (l *oplog) in(ctx context.Context, tx *sql.Tx) *oplog {
	return &oplog{
		supersede: tx.StmtContext(ctx, l.supersede), insert: tx.StmtContext(ctx, l.insert), stale: tx.StmtContext(ctx, l.stale),
		staleAll: tx.StmtContext(ctx, l.staleAll), removeAll: tx.StmtContext(ctx, l.removeAll), contentSums: l.contentSums,
	}
}

// add adds an operation to a bucket.
func (l *oplog) add(ctx context.Context, b *bucket, op *operation) error {
	if int64(op.ID) <= b.lastOp {
		return fmt.Errorf("%w: it comes after operation %d", ErrChecksum, b.lastOp)
	}
	if err := op.check(l.contentSums); err != nil {
		return err
	}
	b.lastOp = int64(op.ID)
	sum := op.sum()
	switch op.Kind {
	case "PUT":
		b.held += sum
		return l.putIn(ctx, b, op)
	case "REMOVE":
		b.gone += sum
		if err := l.takeOut(ctx, b, op); err != nil {
			return err
		}
		_, err := l.stale.ExecContext(ctx, op.Type, op.RowID, b.id)
		return err
	case "CLEAR":
		b.held, b.gone = 0, sum
		return l.clear(ctx, b.id)
	default: // MOVE
		b.gone += sum
		return nil
	}
}

// putIn has the operation be the one of its row. Most rows are new.
func (l *oplog) putIn(ctx context.Context, b *bucket, op *operation) error {
	for {
		done, err := l.insert.ExecContext(ctx, op.Type, op.RowID, b.id, op.Subkey, int64(op.ID), op.sum(), op.Data)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); n > 0 || err != nil {
			return err
		}
		if err := l.takeOut(ctx, b, op); err != nil {
			return err
		}
	}
}

// takeOut takes the earlier operation of the same row, if there is one, from what the bucket holds.
func (l *oplog) takeOut(ctx context.Context, b *bucket, op *operation) error {
	var sum uint32
	err := l.supersede.QueryRowContext(ctx, op.Type, op.RowID, b.id, op.Subkey).Scan(&sum)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	b.held -= sum
	b.gone += sum
	return err
}

// clear takes all operations from a bucket.
func (l *oplog) clear(ctx context.Context, bucket int64) error {
	if _, err := l.staleAll.ExecContext(ctx, bucket); err != nil {
		return err
	}
	_, err := l.removeAll.ExecContext(ctx, bucket)
	return err
}

// drop deletes buckets. Their rows go with the next checkpoint, unless they come again.
func (l *oplog) drop(ctx context.Context, tx *sql.Tx, buckets []int64) error {
	for _, id := range buckets {
		if err := l.clear(ctx, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM ps_buckets WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) dropBucket(ctx context.Context, name string) error {
	return db.change(ctx, db.sync, func(tx *sql.Tx) error {
		b, err := bucketByName(ctx, tx, name)
		if err != nil {
			return err
		}
		return db.oplog.in(ctx, tx).drop(ctx, tx, []int64{b.id})
	})
}

func (op *operation) sum() uint32 { return uint32(op.Checksum) } //nolint:gosec // G115: its 32 bits, signed or not

// check reports what makes an operation one that cannot be kept. Where contentSums holds its checksum must be the one of its content:
// the first four bytes, little endian, of a SHA-256. Those of MOVE and CLEAR stand for operations that are not known any more.
func (op *operation) check(contentSums bool) error {
	h := sha256.New()
	switch op.Kind {
	case "PUT":
		if !jsontext.Value(op.Data).IsValid() || op.Data[0] != '{' || depth(op.Data) > deepest {
			return fmt.Errorf("%w: its row is no JSON object that can be read", ErrChecksum)
		}
		write(h, "put.", op.Type, ".", op.RowID, ".", op.Data)
	case "REMOVE":
		if op.Subkey != "" {
			return nil // of a service that names rows in its own way
		}
		write(h, "delete.", op.Type, ".", op.RowID)
	case "MOVE", "CLEAR":
		return nil
	default:
		return fmt.Errorf("unknown kind %.20q", op.Kind)
	}
	if contentSums && binary.LittleEndian.Uint32(h.Sum(nil)) != op.sum() {
		return fmt.Errorf("%w: it is not the one that was summed up", ErrChecksum)
	}
	return nil
}

// deepest is how deep JSON may be nested for SQLite to read it. One row that it cannot would fail every query of its table.
const deepest = 1000

// depth is how deep a valid JSON text is nested.
func depth(text string) (most int) {
	level := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			level++
			most = max(most, level)
		case '}', ']':
			level--
		}
	}
	return most
}

func write(h hash.Hash, parts ...string) {
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // never fails
	}
}
