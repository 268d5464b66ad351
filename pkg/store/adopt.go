package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/provisioner/provisioner/pkg/audit"
)

// ErrAdopted is returned for a database that is this program's already.
var ErrAdopted = errors.New("it is provisioner's already: there is nothing to adopt")

// ErrNotAdopted is returned by [DB.Migrate] for a database that another server's accounts are in.
var ErrNotAdopted = errors.New("the database has a table users that is not provisioner's: " +
	"if it is Papyrus's, run `provisioner migrate adopt`, else use a database of its own")

var (
	errAdoptEngine = errors.New("only a Postgres database can be adopted: set DATABASE_URL to that of the Papyrus server (postgres://…)")
	errInUse       = errors.New("another program has the tables in use: stop the Papyrus server, then try again")
)

// AdoptError says why a database cannot be adopted. Nothing of it was changed.
type AdoptError struct {
	Obstacles []string // all of them, each with its remedy
}

// Error implements error, with a line for each obstacle.
func (e *AdoptError) Error() string {
	return "nothing was changed, because\n  " + strings.Join(e.Obstacles, "\n  ")
}

// AdoptOptions says how to adopt a database.
type AdoptOptions struct {
	Plan   string      // of the accounts: the lowest
	DryRun bool        // do it all, then undo it
	Audit  audit.Entry // written with it; what was adopted becomes its detail
}

// Adoption is what was done to a database, or with a dry run would be.
type Adoption struct {
	Statements []string // SQL, in the order of execution
	Remarks    []string // what is for the operator to know
	Users      int64
	Sessions   int64 // that are live, and go on with the refresh tokens that they have
}

// adoptionSchema is where the tables of this program are made before those of the database take their shape from them.
const adoptionSchema = "provisioner_adoption"

// Adopt makes an existing Papyrus database this program's, in place (contract: papyrus, section 5): its tables get what they lack of
// the schema that [DB.Migrate] makes, its other tables stay as they are. Accounts, passwords, identities and live sessions go
// on. All of it is one transaction. It returns [ErrAdopted] the second time, and an [*AdoptError] where something is in the way.
func (db *DB) Adopt(ctx context.Context, o AdoptOptions) (Adoption, error) {
	if db.engine != Postgres {
		return Adoption{}, errAdoptEngine
	}
	var done Adoption
	err := db.withMigrationLock(ctx, func(conn *sql.Conn) (err error) {
		done, err = db.adoptOn(ctx, conn, o)
		return err
	})
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == stateLockTimeout {
		return Adoption{}, fmt.Errorf("%w (%w)", errInUse, err)
	}
	return done, explain("adopt the database", err)
}

// adoptOn adopts the database of a connection that holds the lock of migrations.
func (db *DB) adoptOn(ctx context.Context, conn *sql.Conn, o AdoptOptions) (done Adoption, err error) {
	state, err := stateOf(ctx, conn)
	switch {
	case err != nil:
		return Adoption{}, err
	case state.migrated:
		return Adoption{}, ErrAdopted
	case !state.accounts:
		return Adoption{}, &AdoptError{[]string{fmt.Sprintf("there is no table users in the schema %q: is it Papyrus's database?", state.schema)}}
	}
	defer func() { err = errors.Join(err, dropAdoptionSchema(ctx, conn)) }()
	if err := db.buildSchema(ctx, conn); err != nil {
		return Adoption{}, err
	}
	return db.adoptTables(ctx, conn, state.schema, o)
}

// refuseUnadopted returns ErrNotAdopted for a database that is to be adopted first. It waits for an adoption under way.
func (db *DB) refuseUnadopted(ctx context.Context) error {
	if db.engine != Postgres {
		return nil
	}
	var state databaseState
	err := attempt(ctx, "look for accounts of another server", func(ctx context.Context) (err error) {
		state, err = stateOf(ctx, db.read)
		return err
	})
	if err != nil || !state.foreign() {
		return err
	}
	return db.withMigrationLock(ctx, func(conn *sql.Conn) error {
		state, err := stateOf(ctx, conn)
		if err == nil && state.foreign() {
			err = ErrNotAdopted
		}
		return err
	})
}

// withMigrationLock runs work on a connection that holds the lock of migrations.
func (db *DB) withMigrationLock(ctx context.Context, work func(*sql.Conn) error) (err error) {
	m, err := db.openMigrator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	conn, err := m.db.Conn(ctx)
	if err != nil {
		return explain("lock migrations", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }() // gives the lock back too, should that fail
	locker, err := newMigrationLocker()
	if err != nil {
		return err
	}
	if err := locker.SessionLock(ctx, conn); err != nil {
		return explain("lock migrations", err)
	}
	defer func() { err = errors.Join(err, locker.SessionUnlock(context.WithoutCancel(ctx), conn)) }()
	return work(conn)
}

// databaseState is what a look at a database tells.
type databaseState struct {
	schema   string // where tables are made and found
	accounts bool   // it has a table users
	migrated bool   // by this program, or adopted
}

func (s databaseState) foreign() bool { return s.accounts && !s.migrated }

// querier is a *sql.DB or *sql.Conn.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// stateOf counts a table of versions that lists none as no migration: to ask for the status makes one.
func stateOf(ctx context.Context, q querier) (databaseState, error) {
	const tables = `SELECT coalesce(current_schema(), ''),
		EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'users'),
		EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'goose_db_version')`
	const versions = `SELECT EXISTS (SELECT FROM goose_db_version WHERE is_applied AND version_id > 0)`
	var s databaseState
	err := q.QueryRowContext(ctx, tables).Scan(&s.schema, &s.accounts, &s.migrated)
	if err == nil && s.migrated {
		err = q.QueryRowContext(ctx, versions).Scan(&s.migrated)
	}
	return s, err
}

// buildSchema makes the tables of this program, empty, in the schema for adoption: by its migrations, so that there is no second
// account of what they are, and before the transaction, which not all of them can run in.
func (db *DB) buildSchema(ctx context.Context, conn *sql.Conn) (err error) {
	if err := dropAdoptionSchema(ctx, conn); err != nil { // of a process that was killed
		return err
	}
	if _, err := conn.ExecContext(ctx, `CREATE SCHEMA `+adoptionSchema); err != nil {
		return fmt.Errorf("the role of DATABASE_URL must be able to make schemas in the database: %w", err)
	}
	config, err := configOf(conn)
	if err != nil {
		return err
	}
	config.RuntimeParams["search_path"] = adoptionSchema
	pool := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, pool.Close()) }()

	steps, err := fs.Sub(migrations, db.migrationsDir())
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(db.goose, pool, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// configOf returns what a connection was made with.
func configOf(conn *sql.Conn) (config *pgx.ConnConfig, err error) {
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of %T", driver)
		}
		config = c.Conn().Config()
		return nil
	})
	return config, err
}

func dropAdoptionSchema(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(context.WithoutCancel(ctx), `DROP SCHEMA IF EXISTS `+adoptionSchema+` CASCADE`)
	return err
}

// adoptTables adopts the tables of schema in one transaction.
func (db *DB) adoptTables(ctx context.Context, conn *sql.Conn, schema string, o AdoptOptions) (Adoption, error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return Adoption{}, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit

	a := &adopter{tx: tx, schema: schema, plan: o.Plan}
	if err := a.adopt(ctx); err != nil {
		return Adoption{}, err
	}
	o.Audit.Detail = fmt.Sprintf("%d accounts, %d live sessions", a.done.Users, a.done.Sessions)
	if err := db.record(ctx, tx, o.Audit, "", "", ""); err != nil || o.DryRun {
		return a.done, err
	}
	return a.done, tx.Commit()
}
