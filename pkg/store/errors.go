package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// SQLSTATEs (PostgreSQL manual, appendix A).
const (
	stateReadOnly            = "25006" // a standby, or a primary that is being replaced
	stateForeignKey          = "23503"
	stateSerializationFailed = "40001"
	stateDeadlock            = "40P01"
	stateLockTimeout         = "55P03"
	stateStatementTimeout    = "57014"
	statesShutdown           = "57P0" // admin, crash, not yet started, database dropped, idle too long
	classConnection          = "08"
	classResources           = "53" // disk full, out of memory, too many connections
	classSystem              = "58" // I/O error
)

// explain names the operation in its error, and hides an outage behind [apierror.Unavailable]. A deadline that passed is an
// outage too, whosever it was: the store did not answer in the time there was. A caller that cancelled gets its
// cancellation back; nothing is known of what the operation did.
func explain(op string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", op, err)
	if !errors.Is(err, context.Canceled) && isOutage(err) {
		return apierror.Unavailable(err)
	}
	return err
}

func isOutage(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return isSQLiteOutage(e.Code())
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return isPostgresOutage(e.Code)
	}
	if _, ok := errors.AsType[net.Error](err); ok { // also a deadline
		return true
	}
	for _, gone := range []error{
		context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone, errOvertaken,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return pgconn.SafeToRetry(err) // the connection was closed before anything was sent
}

func isPostgresOutage(state string) bool {
	switch state {
	case stateReadOnly, stateLockTimeout, stateStatementTimeout, stateSerializationFailed, stateDeadlock:
		return true
	}
	for _, prefix := range []string{classConnection, classResources, classSystem, statesShutdown} {
		if strings.HasPrefix(state, prefix) {
			return true
		}
	}
	return false
}

func isSQLiteOutage(code int) bool {
	switch code & 0xff { // the primary code; the other bits say more
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_PROTOCOL, sqlitelib.SQLITE_NOMEM,
		sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_CANTOPEN,
		sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// lostRace reports whether a transaction was undone in favour of a concurrent one, by Postgres or by itself, so that it can be tried
// again.
func lostRace(err error) bool {
	if errors.Is(err, errOvertaken) {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == stateSerializationFailed || e.Code == stateDeadlock)
}

// isOrphan reports whether a row was refused because the one it belongs to is unknown.
func isOrphan(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == stateForeignKey
}

// isHeld reports whether a row was held by another transaction for longer than anybody waits. (In SQLite all rows are held at once.)
func isHeld(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == stateLockTimeout
}
