package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

const (
	sqliteReaders     = 4
	sqliteIdleReaders = 2
	readerIdleTime    = 10 * time.Second // then its page cache is given back
	migrationWait     = 30 * time.Second
)

// openSQLite opens the file of c with one connection that writes and a few that read meanwhile. Other processes may
// have it open too.
func openSQLite(c Config) (*DB, error) {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	write, err := sqlitePool(path, c.Traced, url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, err
	}
	read, err := sqlitePool(path, c.Traced, url.Values{"_query_only": {"true"}})
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(sqliteReaders)
	read.SetMaxIdleConns(sqliteIdleReaders)
	read.SetConnMaxIdleTime(readerIdleTime)

	db := &DB{read: read, write: write, group: &groupCommit{write: write}}
	db.dialect = dialect{
		engine:         SQLite,
		at:             microseconds,
		purge:          purgeByKey,
		tables:         tableStatements(sqliteWording),
		ids:            idsAsJSON,
		numberedIDs:    `(SELECT value AS id, key AS n FROM json_each($2)) AS r`,
		insertNonces:   insertNoncesSingly,
		insertEvents:   insertEventsSingly,
		insertRefusals: insertRefusalsSingly,
		updateUses:     updateUsesSingly,
		insertOps:      insertOpsSingly,
		putRows:        putRowsSingly,
		readOps:        readOpsSingly,
		holdUsers:      holdUsersSingly,
		goose:          goose.DialectSQLite3,
		hasVersions:    `SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'goose_db_version'`,
		openMigrator:   func(ctx context.Context) (*migrator, error) { return openSQLiteMigrator(ctx, path) },
	}
	db.listen = db.pollVersion
	return db, nil
}

// createPrivate makes an empty file that only its owner may read, and its directory, unless they exist. SQLite gives the
// files that it makes beside it the same mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: the operator chooses the file
	if err != nil {
		return err
	}
	return f.Close()
}

func sqlitePool(path string, traced bool, settings url.Values) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(sqliteDSN(path, settings))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	caching := cachingConnector{connector}
	if traced {
		return sql.OpenDB(tracingConnector{caching}), nil
	}
	return sql.OpenDB(caching), nil
}

// sqliteDSN returns the address of a file with the settings that every connection has, and those of settings. Every commit
// is on the disk before it returns: what is acknowledged is durable. What is deleted is overwritten: who erases an account wants it gone.
func sqliteDSN(path string, settings url.Values) string {
	query := url.Values{
		"_busy_timeout": {"5000"},
		"_foreign_keys": {"on"},
		"_synchronous":  {"FULL"},
		"_dqs":          {"false"}, // "text" in double quotes is a name, as in Postgres
		"_error_rc":     {"true"},
		"_pragma":       {"cache_size(-512)", "journal_size_limit(16777216)", "trusted_schema(0)", "secure_delete(ON)"},
	}
	for name, values := range settings {
		query[name] = values
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}

// openSQLiteMigrator waits until no other process migrates the file at path: each locks a file beside it, that stays empty.
// SQLite's own lock of that file is the one that works everywhere and ends with the process.
func openSQLiteMigrator(ctx context.Context, path string) (*migrator, error) {
	lock, err := lockFile(ctx, path+".migrate")
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(sqliteDSN(path, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}}))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db := sql.OpenDB(connector)
	return &migrator{db: db, close: func() error { return errors.Join(db.Close(), lock.Close()) }}, nil
}

// lockFile returns a pool with one connection that holds an exclusive lock on the file, until it is closed.
func lockFile(ctx context.Context, path string) (*sql.DB, error) {
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(sqliteDSN(path, url.Values{
		"_busy_timeout": {fmt.Sprint(migrationWait.Milliseconds())},
	}))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `BEGIN EXCLUSIVE`); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
