package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// tracingConnector opens connections that record their statements. (pgx does by itself, with a postgresTracer.)
type tracingConnector struct{ cachingConnector }

// Connect implements [driver.Connector].
func (c tracingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.cachingConnector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(*cachingConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T does not keep statements", opened), opened.Close())
	}
	return tracingConn{conn}, nil
}

type tracingConn struct{ *cachingConn }

// PrepareContext implements [driver.ConnPrepareContext].
func (c tracingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepared, err := c.cachingConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := prepared.(cachedStmt)
	if !ok {
		return nil, fmt.Errorf("%T is not kept", prepared)
	}
	return tracedStmt{stmt, query}, nil
}

// BeginTx implements [driver.ConnBeginTx]. It is where a writer waits for the one before.
func (c tracingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	began := startStatement(ctx, systemSQLite, "BEGIN")
	tx, err := c.cachingConn.BeginTx(ctx, opts)
	endStatement(began, err)
	if err != nil {
		return nil, err
	}
	return tracedTx{tx, ctx}, nil
}

type tracedTx struct {
	driver.Tx
	ctx context.Context //nolint:containedctx // of the transaction, as database/sql has it
}

// Commit implements [driver.Tx]. It is where the disk is waited for.
func (t tracedTx) Commit() error {
	ctx := startStatement(t.ctx, systemSQLite, "COMMIT")
	err := t.Tx.Commit()
	endStatement(ctx, err)
	return err
}

// Rollback implements [driver.Tx].
func (t tracedTx) Rollback() error {
	ctx := startStatement(t.ctx, systemSQLite, "ROLLBACK")
	err := t.Tx.Rollback()
	endStatement(ctx, err)
	return err
}

type tracedStmt struct {
	cachedStmt
	query string
}

// ExecContext implements [driver.StmtExecContext].
func (s tracedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	ctx = startStatement(ctx, systemSQLite, s.query)
	result, err := s.cachedStmt.ExecContext(ctx, args)
	endStatement(ctx, err)
	return result, err
}

// QueryContext implements [driver.StmtQueryContext]. The rows are read until they are closed.
func (s tracedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	ctx = startStatement(ctx, systemSQLite, s.query)
	rows, err := s.cachedStmt.QueryContext(ctx, args)
	if err != nil {
		endStatement(ctx, err)
		return nil, err
	}
	return tracedRows{rows, ctx}, nil
}

type tracedRows struct {
	driver.Rows
	ctx context.Context //nolint:containedctx // of the query
}

// Close implements [driver.Rows].
func (r tracedRows) Close() error {
	err := r.Rows.Close()
	endStatement(r.ctx, err)
	return err
}
