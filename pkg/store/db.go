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
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/syncstream"
	"github.com/provisioner/provisioner/pkg/token"
)

var (
	_ account.Store     = (*DB)(nil)
	_ apikey.Store      = (*DB)(nil)
	_ audit.Store       = (*DB)(nil)
	_ event.Store       = (*DB)(nil)
	_ idempotency.Store = (*DB)(nil)
	_ library.Store     = (*DB)(nil)
	_ mail.Store        = (*DB)(nil)
	_ oidc.Store        = (*DB)(nil)
	_ replay.Store      = (*DB)(nil)
	_ revocation.Feed   = (*DB)(nil)
	_ session.Store     = (*DB)(nil)
	_ token.Store       = (*DB)(nil)

	_ syncstream.Changes   = (*DB)(nil)
	_ syncstream.Compactor = (*DB)(nil)
	_ syncstream.Store     = (*DB)(nil)
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
	URL    secret.Text // Postgres: postgres://…; what it sets itself, such as connect_timeout or pool_max_conns (else 16), is left alone
	Traced bool        // statements of recorded requests are recorded too
}

const (
	opTimeout = 5 * time.Second // of one operation, all its attempts included
	attempts  = 3               // of an operation that lost to a concurrent one
	longest   = time.Hour       // of work that has time for each of its parts
)

// DB is a database. Its methods are safe for concurrent use. They return an [apierror.Error] with the code
// STORE_UNAVAILABLE while the database cannot be reached or does not answer in time, and work again once it does.
type DB struct {
	dialect
	feed
	read, write *sql.DB      // the same pool on Postgres
	group       *groupCommit // nil on Postgres, which has many writers
}

// Open prepares the pools of a database; [DB.Migrate] then makes its tables. It does not connect: a Postgres server that is
// down shows in [DB.Ping] and in every operation.
func Open(_ context.Context, c Config) (*DB, error) {
	switch c.Engine {
	case SQLite:
		return openSQLite(c)
	case Postgres:
		return openPostgres(c)
	default:
		return nil, fmt.Errorf("open store: unknown engine %q", c.Engine)
	}
}

// Close waits for operations under way, and some seconds at most for notices that other processes are still to get, and closes
// the database. [DB.Watch] is to be ended before.
func (db *DB) Close() error {
	for _, n := range []*notifier{db.revocations, db.changes} {
		if n != nil {
			n.close()
		}
	}
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

// attempt gives work the time of an operation; see attemptWithin.
func attempt(ctx context.Context, op string, work func(ctx context.Context) error) error {
	return attemptWithin(ctx, opTimeout, op, work)
}

// attemptWithin gives work its time, and another try where it lost to a concurrent transaction, and explains its error.
func attemptWithin(ctx context.Context, limit time.Duration, op string, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var err error
	for range attempts {
		if err = work(ctx); !lostRace(err) {
			break
		}
	}
	return explain(op, err)
}

// work is what a transaction does. It may run more than once: it begins anew each time.
type work func(ctx context.Context, tx *sql.Tx) error

// tx runs work in one transaction.
func (db *DB) tx(ctx context.Context, op string, w work) error {
	return attempt(ctx, op, func(ctx context.Context) error {
		if db.group != nil {
			return db.group.do(ctx, w)
		}
		return inTx(ctx, db.write, w)
	})
}

// txWithin is tx for work that has its own time.
func (db *DB) txWithin(ctx context.Context, limit time.Duration, op string, w work) error {
	return attemptWithin(ctx, limit, op, func(ctx context.Context) error { return inTx(ctx, db.write, w) })
}

func inTx(ctx context.Context, pool *sql.DB, w work) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err = w(ctx, tx); err == nil {
		err = tx.Commit()
	} else {
		_ = tx.Rollback() // the cause counts; a connection that cannot roll back is closed
	}
	if errors.Is(err, sql.ErrTxDone) { // database/sql rolled it back when ctx ended
		return errors.Join(err, ctx.Err())
	}
	return err
}

// statement runs one statement that is its own transaction.
func (db *DB) statement(ctx context.Context, op string, run func(ctx context.Context, on statements) error) error {
	if db.group != nil {
		return db.tx(ctx, op, func(ctx context.Context, tx *sql.Tx) error { return run(ctx, tx) })
	}
	return attempt(ctx, op, func(ctx context.Context) error { return run(ctx, db.write) })
}

// statements is a *sql.DB or *sql.Tx.
type statements interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// txByParts is tx for work of any length that has its own time for each part: it says when the next one begins.
func (db *DB) txByParts(
	ctx context.Context, limit time.Duration, op string, w func(ctx context.Context, tx *sql.Tx, next func()) error,
) error {
	paced, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()

	err := db.txWithin(paced, longest, op, func(ctx context.Context, tx *sql.Tx) error {
		return w(ctx, tx, func() { late.Reset(limit) })
	})
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return explain(op, context.Cause(paced)) // and nobody hung up
	}
	return err
}

// exec runs one statement and returns how many rows it changed.
func (db *DB) exec(ctx context.Context, op, statement string, args ...any) (int64, error) {
	var n int64
	err := db.statement(ctx, op, func(ctx context.Context, on statements) (err error) {
		n, err = changed(on.ExecContext(ctx, statement, args...))
		return err
	})
	return n, err
}

// execIn runs one statement for its effect, in a transaction.
func execIn(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	_, err := tx.ExecContext(ctx, statement, args...)
	return err
}

// execOne runs one statement in a transaction, and returns missing unless it changed a row.
func execOne(ctx context.Context, tx *sql.Tx, missing error, statement string, args ...any) error {
	n, err := changed(tx.ExecContext(ctx, statement, args...))
	if err == nil && n == 0 {
		return missing
	}
	return err
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
	err := attempt(ctx, op, func(ctx context.Context) (err error) {
		found, err = collect(ctx, db.read, scan, query, args...)
		return err
	})
	return found, err
}

// change runs one statement that changes at most one row and returns it, or missing. It is its own transaction.
func change[T any](
	ctx context.Context, db *DB, op string, missing error, scan func(row) (T, error), statement string, args ...any,
) (T, error) {
	found, err := changeAll(ctx, db, op, scan, statement, args...)
	if err == nil && len(found) == 0 {
		err = explain(op, missing)
	}
	if err != nil {
		var none T
		return none, err
	}
	return found[0], nil
}

// changeAll runs one statement that changes rows and returns them. It is its own transaction.
func changeAll[T any](
	ctx context.Context, db *DB, op string, scan func(row) (T, error), statement string, args ...any,
) ([]T, error) {
	var found []T
	err := db.statement(ctx, op, func(ctx context.Context, on statements) (err error) {
		found, err = collect(ctx, on, scan, statement, args...)
		return err
	})
	return found, err
}

func collect[T any](ctx context.Context, on statements, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := on.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scan)
}

// scanAll reads rows to their end, where a statement that changes them is done, and closes them.
func scanAll[T any](rows *sql.Rows, scan func(row) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // rows.Err tells what went wrong
	var found []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}

// orAll returns the limit of a query, where 0 means all.
func orAll(limit int) int {
	if limit == 0 {
		return math.MaxInt
	}
	return limit
}
