package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	postgresConns   = 16
	connLifetime    = 30 * time.Minute // so that connections follow a failover by DNS
	connIdleTime    = 5 * time.Minute
	connectTimeout  = 2 * time.Second
	applicationName = "provisioner"
)

// openPostgres prepares a pool of connections to the server of url.
func openPostgres(url secret.Text) (*DB, error) {
	pool, err := postgresPool(url, map[string]string{
		"statement_timeout":                   "5s", // as opTimeout: what nobody waits for any more ends
		"lock_timeout":                        "3s",
		"idle_in_transaction_session_timeout": "10s",
	})
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresConns)
	pool.SetConnMaxLifetime(connLifetime)
	pool.SetConnMaxIdleTime(connIdleTime)

	db := &DB{read: pool, write: pool}
	db.dialect = dialect{
		engine:       Postgres,
		at:           timestamp,
		lockRow:      ` FOR NO KEY UPDATE`,
		skipLocked:   ` FOR UPDATE SKIP LOCKED`,
		insertNonces: insertNoncesTogether,
		insertEvents: insertEventsTogether,
		goose:        goose.DialectPostgres,
		hasVersions:  `SELECT to_regclass('goose_db_version') IS NOT NULL`,
		openMigrator: func(context.Context) (*migrator, error) { return openPostgresMigrator(url) },
	}
	return db, nil
}

// postgresPool takes the settings of the session where url does not give them itself.
func postgresPool(url secret.Text, settings map[string]string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err) // pgx hides the password in it
	}
	settings["application_name"] = applicationName
	settings["timezone"] = "UTC"
	for name, value := range settings {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	return stdlib.OpenDB(*config), nil
}
