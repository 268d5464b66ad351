package powersync

import (
	"context"
	"database/sql"
	"errors"
)

// DB is a database on this device. Its methods are safe for concurrent use.
type DB struct{}

// Option changes a default of a DB.
type Option func(*DB)

// Open opens the file at path, which it makes, readable by its owner alone, where there is none.
func Open(ctx context.Context, path string, schema Schema, options ...Option) (*DB, error) {
	return nil, errors.ErrUnsupported
}

// Close disconnects and closes the file.
func (db *DB) Close() error { return errors.ErrUnsupported }

// Write runs work in a transaction, which is kept if work returns nil. What it does to the views of synced tables is queued, to be
// uploaded as one transaction.
func (db *DB) Write(ctx context.Context, work func(tx *sql.Tx) error) error {
	return errors.ErrUnsupported
}

// Read runs work in a transaction that sees one state of the database, and cannot change it.
func (db *DB) Read(ctx context.Context, work func(tx *sql.Tx) error) error {
	return errors.ErrUnsupported
}

// Changes returns a channel that is sent to at once, and after each change of one of the tables (all, where none is named) by the app,
// the sync or another process. Changes that come faster than they are received become one. It is closed when ctx ends.
func (db *DB) Changes(ctx context.Context, tables ...string) <-chan struct{} {
	return nil
}

// Queued is how many transactions wait for their upload.
func (db *DB) Queued(ctx context.Context) (int, error) { return 0, errors.ErrUnsupported }

// Clear disconnects, and deletes every row of every table, the queue, and all that was synced.
func (db *DB) Clear(ctx context.Context) error { return errors.ErrUnsupported }
