package powersync

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
)

// Kind is what a mutation does.
type Kind string

// The kinds.
const (
	Put    Kind = "PUT"    // a row was inserted; Data holds its columns but for nulls
	Patch  Kind = "PATCH"  // Data holds the columns that changed
	Delete Kind = "DELETE" // the row is gone
)

// Mutation is one change of a row that the app made.
type Mutation struct {
	OpID  int64 // counts up on this device
	TxID  int64 // of its transaction, counts up on this device
	Kind  Kind
	Table string
	ID    string
	Data  json.RawMessage // an object by column, valid UTF-8; nil for Delete
}

// Transaction is what one [DB.Write] has queued.
type Transaction struct {
	ID        int64
	Mutations []Mutation // in their order; at least one
}

// NextTransaction returns the first transaction that waits for its upload, and whether there is one.
func (db *DB) NextTransaction(ctx context.Context) (Transaction, bool, error) {
	var t Transaction
	err := db.Read(ctx, func(tx *sql.Tx) error {
		if err := db.checkEpoch(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT op_id, tx_id, kind, type, row_id, data FROM ps_crud
WHERE tx_id = (SELECT tx_id FROM ps_crud ORDER BY op_id LIMIT 1) ORDER BY op_id`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var m Mutation
			var data sql.NullString
			if err := rows.Scan(&m.OpID, &m.TxID, &m.Kind, &m.Table, &m.ID, &data); err != nil {
				return err
			}
			m.ID = valid(m.ID)
			if data.Valid {
				m.Data = json.RawMessage(valid(data.String))
			}
			t.Mutations = append(t.Mutations, m)
		}
		return rows.Err()
	})
	if err != nil || len(t.Mutations) == 0 {
		return Transaction{}, false, err
	}
	t.ID = t.Mutations[0].TxID
	return t, true, nil
}

// firstQueued is the id of the first transaction that waits for its upload, 0 where none does.
func (db *DB) firstQueued(ctx context.Context) (id int64, err error) {
	err = db.Read(ctx, func(tx *sql.Tx) error {
		if err := db.checkEpoch(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT coalesce(min(tx_id), 0) FROM ps_crud`).Scan(&id)
	})
	return id, err
}

// valid replaces what is no UTF-8, which SQLite takes and JSON must not hold: a server would refuse it for ever.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// Complete takes a transaction from the queue: it has been uploaded, or can never be. To complete it again does nothing, nor does it with
// the zero Transaction.
func (db *DB) Complete(ctx context.Context, t Transaction) error {
	return db.change(ctx, db.sync, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM ps_crud WHERE tx_id = ?`, t.ID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, changed(queueChanges))
		return err
	})
}

// Queued is how many mutations wait for their upload.
func (db *DB) Queued(ctx context.Context) (int, error) {
	var n int
	err := db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM ps_crud`).Scan(&n)
	})
	return n, err
}
