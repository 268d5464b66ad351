package powersync

import (
	"context"
	"encoding/json"
	"errors"
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
	Data  json.RawMessage // an object by column; nil for Delete
}

// Transaction is what one [DB.Write] has queued.
type Transaction struct {
	ID        int64
	Mutations []Mutation // in their order; at least one
}

// NextTransaction returns the first transaction that waits for its upload, and whether there is one.
func (db *DB) NextTransaction(ctx context.Context) (Transaction, bool, error) {
	return Transaction{}, false, errors.ErrUnsupported
}

// Complete takes a transaction from the queue, as the first one: it has been uploaded, or can never be. To complete it again does nothing.
func (db *DB) Complete(ctx context.Context, t Transaction) error { return errors.ErrUnsupported }
