package powersync_test

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// steppedConnector opens connections that call step before each statement, and each begin and end of a transaction. Its argument is the
// statement, if that was not prepared.
type steppedConnector struct {
	driver.Connector
	step func(statement string)
}

func (c steppedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c.step("")
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, fmt.Errorf("%T cannot do all that it must", conn)
	}
	return steppedConn{full, c.step}, nil
}

// fullConn is what the driver's connections can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type steppedConn struct {
	fullConn
	step func(statement string)
}

func (c steppedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	c.step("")
	tx, err := c.fullConn.BeginTx(ctx, options)
	return steppedTx{tx, c.step}, err
}

func (c steppedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.step(query)
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c steppedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.step(query)
	return c.fullConn.QueryContext(ctx, query, args)
}

func (c steppedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	full, ok := stmt.(fullStmt)
	if !ok {
		return nil, fmt.Errorf("%T cannot do all that it must", stmt)
	}
	return steppedStmt{full, c.step}, nil
}

type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type steppedStmt struct {
	fullStmt
	step func(statement string)
}

func (s steppedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.step("")
	return s.fullStmt.ExecContext(ctx, args)
}

func (s steppedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.step("")
	return s.fullStmt.QueryContext(ctx, args)
}

type steppedTx struct {
	driver.Tx
	step func(statement string)
}

func (t steppedTx) Commit() error {
	t.step("")
	return t.Tx.Commit()
}
