// Package store keeps what the domain declares stores for, in SQLite or in Postgres: SQL, and nothing of what it is for.
// One conformance suite, package storetest, holds both engines to the same behaviour.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

var (
	_ account.Store     = (*DB)(nil)
	_ apikey.Store      = (*DB)(nil)
	_ event.Store       = (*DB)(nil)
	_ idempotency.Store = (*DB)(nil)
	_ replay.Store      = (*DB)(nil)
	_ session.Store     = (*DB)(nil)
)

// Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Config says which database to open.
type Config struct {
	Engine Engine
	Path   string      // SQLite: the file. It is created with mode 0600 where it is missing, its directory with 0700
	URL    secret.Text // Postgres: postgres://…; what it sets itself, such as connect_timeout, is left alone
}

const (
	opTimeout = 5 * time.Second // of one operation, all its attempts included
	attempts  = 3               // of an operation that lost to a concurrent one
)

// DB is a database. Its methods are safe for concurrent use. They return an [apierror.Error] with the code
// STORE_UNAVAILABLE while the database cannot be reached or does not answer in time, and work again once it does.
type DB struct {
	dialect
	read, write *sql.DB // the same pool on Postgres
}

// Open prepares the pools of a database; [DB.Migrate] then makes its tables. It does not connect: a Postgres server that is
// down shows in [DB.Ping] and in every operation.
func Open(_ context.Context, c Config) (*DB, error) {
	switch c.Engine {
	case SQLite:
		return openSQLite(c.Path)
	case Postgres:
		return openPostgres(c.URL)
	default:
		return nil, fmt.Errorf("open store: unknown engine %q", c.Engine)
	}
}

// Close waits for operations under way and closes the database.
func (db *DB) Close() error {
	if db.read == db.write {
		return db.write.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close()) // the writer last: it takes the write-ahead log in
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	return attempt(ctx, "ping the store", func(ctx context.Context) error {
		var one int
		return db.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
	})
}

// attempt gives work its time, and another try where it lost to a concurrent transaction, and explains its error.
func attempt(ctx context.Context, op string, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()

	var err error
	for range attempts {
		if err = work(ctx); !lostRace(err) {
			break
		}
	}
	return explain(op, err)
}

// tx runs work in one transaction. Work may run more than once: it begins anew each time.
func (db *DB) tx(ctx context.Context, op string, work func(ctx context.Context, tx *sql.Tx) error) error {
	return attempt(ctx, op, func(ctx context.Context) error {
		tx, err := db.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err = work(ctx, tx); err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback() // the cause counts; a connection that cannot roll back is closed
		}
		if errors.Is(err, sql.ErrTxDone) { // database/sql rolled it back when ctx ended
			return errors.Join(err, ctx.Err())
		}
		return err
	})
}

// exec runs one statement and returns how many rows it changed.
func (db *DB) exec(ctx context.Context, op, statement string, args ...any) (int64, error) {
	var n int64
	err := attempt(ctx, op, func(ctx context.Context) (err error) {
		n, err = changed(db.write.ExecContext(ctx, statement, args...))
		return err
	})
	return n, err
}

// changed returns how many rows a statement changed.
func changed(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row is a *sql.Row or *sql.Rows.
type row interface {
	Scan(dest ...any) error
}

// find returns the one row of a query, or missing.
func find[T any](
	ctx context.Context, db *DB, op string, missing error, scan func(row) (T, error), query string, args ...any,
) (T, error) {
	var found T
	err := attempt(ctx, op, func(ctx context.Context) (err error) {
		found, err = scan(db.read.QueryRowContext(ctx, query, args...))
		if errors.Is(err, sql.ErrNoRows) {
			return missing
		}
		return err
	})
	return found, err
}

// list returns all rows of a query.
func list[T any](ctx context.Context, db *DB, op string, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	var found []T
	err := attempt(ctx, op, func(ctx context.Context) error {
		rows, err := db.read.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells what went wrong

		found = nil
		for rows.Next() {
			one, err := scan(rows)
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		return rows.Err()
	})
	return found, err
}

// orAll returns the limit of a query, where 0 means all.
func orAll(limit int) int {
	if limit == 0 {
		return math.MaxInt
	}
	return limit
}
