package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
)

func TestExplain(t *testing.T) {
	state := func(code string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: code}) }
	for _, row := range []struct {
		name   string
		err    error
		outage bool
	}{
		{"connection exception", state("08006"), true},
		{"disk full", state("53100"), true},
		{"too many connections", state("53300"), true},
		{"I/O error", state("58030"), true},
		{"shut down by the administrator", state("57P01"), true},
		{"starting up", state("57P03"), true},
		{"statement timeout", state("57014"), true},
		{"lock timeout", state("55P03"), true},
		{"read-only standby", state("25006"), true},
		{"deadlock, again and again", state("40P01"), true},
		{"connection refused", &pgconn.ConnectError{}, true},
		{"connection lost", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true},
		{"deadline", context.DeadlineExceeded, true},
		{"deadline in a transaction", errors.Join(sql.ErrTxDone, context.DeadlineExceeded), true},
		{"cancelled by the caller", context.Canceled, false},
		{"unique violation", state("23505"), false},
		{"syntax error", state("42601"), false},
		{"undefined table", state("42P01"), false},
		{"what the domain knows", account.ErrEmailTaken, false},
	} {
		got := explain("test", row.err)
		if isOutage := apierror.From(got).Code == apierror.StoreUnavailable; isOutage != row.outage || !errors.Is(got, row.err) {
			t.Errorf("%s: %v, want outage = %t", row.name, got, row.outage)
		}
	}
	if err := explain("test", nil); err != nil {
		t.Errorf("no error: %v", err)
	}
}

func TestSQLiteOutageCodes(t *testing.T) {
	for _, row := range []struct {
		name   string
		code   int
		outage bool
	}{
		{"SQLITE_BUSY", 5, true},
		{"SQLITE_BUSY_SNAPSHOT", 517, true},
		{"SQLITE_READONLY", 8, true},
		{"SQLITE_IOERR_FSYNC", 1034, true},
		{"SQLITE_FULL", 13, true},
		{"SQLITE_CANTOPEN", 14, true},
		{"SQLITE_NOTADB", 26, true},
		{"SQLITE_ERROR", 1, false},
		{"SQLITE_CONSTRAINT_UNIQUE", 2067, false},
		{"SQLITE_CONSTRAINT_PRIMARYKEY", 1555, false},
		{"SQLITE_MISUSE", 21, false},
	} {
		if got := isSQLiteOutage(row.code); got != row.outage {
			t.Errorf("%s: outage = %t", row.name, got)
		}
	}
}
