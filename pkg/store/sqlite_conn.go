package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// cachingConnector opens connections that parse each text of SQL once. (pgx does the same by itself.)
type cachingConnector struct {
	driver.Connector
}

// Connect implements [driver.Connector].
func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T cannot prepare statements", opened), opened.Close())
	}
	return &cachingConn{sqliteConn: conn, statements: make(map[string]cachedStmt)}, nil
}

// sqliteConn is what the driver's connections can do, but for running SQL without preparing it.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// cachingConn keeps the statements that it prepared until it is closed. The texts of this package are few and fixed. Rows
// must be closed before the same text runs again in one transaction.
type cachingConn struct {
	sqliteConn
	statements map[string]cachedStmt
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *cachingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	prepared, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(sqliteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T does not take a context", prepared), prepared.Close())
	}
	c.statements[query] = cachedStmt{s}
	return cachedStmt{s}, nil
}

// Close implements [driver.Conn].
func (c *cachingConn) Close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.sqliteStmt.Close())
	}
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// cachedStmt belongs to its connection.
type cachedStmt struct {
	sqliteStmt
}

// Close implements [driver.Stmt]; the connection closes the statement.
func (cachedStmt) Close() error { return nil }
