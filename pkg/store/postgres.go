package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
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
	maxConnsParam   = "pool_max_conns" // in the URL, as pgx names it
)

// openPostgres prepares a pool of connections to the server of c.
func openPostgres(c Config) (*DB, error) {
	config, err := postgresConfig(c.URL, map[string]string{
		"statement_timeout":                   "5s", // as opTimeout: what nobody waits for any more ends
		"lock_timeout":                        "3s",
		"idle_in_transaction_session_timeout": "10s",
	})
	if err != nil {
		return nil, err
	}
	if c.Traced {
		config.Tracer = postgresTracer{}
	}
	pool := stdlib.OpenDB(*config.ConnConfig)
	pool.SetMaxOpenConns(config.maxConns)
	pool.SetMaxIdleConns(config.maxConns)
	pool.SetConnMaxLifetime(connLifetime)
	pool.SetConnMaxIdleTime(connIdleTime)

	db := &DB{read: pool, write: pool}
	db.dialect = dialect{
		engine:         Postgres,
		at:             timestamp,
		lockRow:        ` FOR NO KEY UPDATE`,
		skipLocked:     ` FOR UPDATE SKIP LOCKED`,
		asKey:          `::uuid`,
		purge:          purgeByPlace,
		lockKeys:       `LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE`,
		patience:       `SET LOCAL statement_timeout = '30s'`, // as uploadTimeout
		tables:         tableStatements(postgresWording),
		ids:            idsAsArray,
		plannedAnew:    []any{pgx.QueryExecModeCacheDescribe}, // a plan of when a table was small reads all of it
		numberedIDs:    `(SELECT id, n - 1 AS n FROM unnest($2::uuid[]) WITH ORDINALITY AS u (id, n)) AS r`,
		insertNonces:   insertNoncesTogether,
		insertEvents:   insertEventsTogether,
		insertRefusals: insertRefusalsTogether,
		updateUses:     updateUsesTogether,
		insertOps:      insertOpsTogether,
		putRows:        putRowsTogether,
		readOps:        readOpsTogether,
		holdUsers:      holdUsersTogether,
		goose:          goose.DialectPostgres,
		hasVersions:    `SELECT to_regclass('goose_db_version') IS NOT NULL`,
		openMigrator:   func(context.Context) (*migrator, error) { return openPostgresMigrator(c.URL) },
	}
	db.sender = rand.Text()
	db.revocations = newNotifier(func(ctx context.Context, payload string) error {
		return db.notify(ctx, revocationsChannel, payload)
	})
	db.changes = newNotifier(func(ctx context.Context, payload string) error {
		return db.notify(ctx, changesChannel, db.sender+"\n"+payload)
	})
	db.listen = func(ctx context.Context, established func()) error {
		return db.listenTo(ctx, config.Copy(), established)
	}
	return db, nil
}

// connConfig is what a URL says of connections, and of how many.
type connConfig struct {
	*pgx.ConnConfig
	maxConns int
}

// postgresConfig takes the settings of the session where url does not give them itself.
func postgresConfig(url secret.Text, settings map[string]string) (connConfig, error) {
	config, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return connConfig{}, fmt.Errorf("open store: %w", err) // pgx hides the password in it
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

	maxConns := postgresConns
	if given, ok := config.RuntimeParams[maxConnsParam]; ok {
		delete(config.RuntimeParams, maxConnsParam) // the server does not know it
		if maxConns, err = strconv.Atoi(given); err != nil || maxConns < 1 {
			return connConfig{}, fmt.Errorf("open store: %s of the URL must be a whole number from 1", maxConnsParam)
		}
	}
	return connConfig{config, maxConns}, nil
}
