package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/provisioner/provisioner/pkg/secret"
)

//go:embed migrations
var migrations embed.FS

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string    // of its file
	AppliedAt time.Time // zero while it is pending
}

// Migrate brings the schema up to date, or leaves one that is newer as it is. Of several processes that start at once one
// does so and the others wait for it.
func (db *DB) Migrate(ctx context.Context) error {
	current, err := db.isMigrated(ctx)
	if err != nil || current {
		return err
	}
	if err := db.refuseUnadopted(ctx); err != nil {
		return err
	}
	err = db.withGoose(ctx, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
	return explain("migrate the store", err)
}

// ErrOutdated is returned by [DB.CheckSchema] for a database that lacks steps of this program.
var ErrOutdated = errors.New("the schema is older than this program, or there is none: run `provisioner migrate up`")

// CheckSchema returns ErrNotAdopted or ErrOutdated for a database that this program cannot work with. It changes nothing, and waits
// for no migration under way.
func (db *DB) CheckSchema(ctx context.Context) error {
	current, err := db.isMigrated(ctx)
	if err != nil || current {
		return err
	}
	if db.engine == Postgres {
		state, err := stateOf(ctx, db.read)
		if err != nil {
			return explain("look for accounts of another server", err)
		}
		if state.foreign() {
			return ErrNotAdopted
		}
	}
	return ErrOutdated
}

// MigrationStatus returns all steps, in their order.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	var steps []Migration
	err := db.withGoose(ctx, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, s := range status {
			steps = append(steps, Migration{
				Version: s.Source.Version, Name: path.Base(s.Source.Path), AppliedAt: s.AppliedAt.UTC(),
			})
		}
		return err
	})
	return steps, explain("read the migrations of the store", err)
}

// isMigrated reports whether the schema is as new as this program. It is a look at two tables, where goose takes locks and
// connections of its own: most starts find nothing to do.
func (db *DB) isMigrated(ctx context.Context) (current bool, err error) {
	latest, err := db.latestMigration()
	if err != nil {
		return false, err
	}
	err = attempt(ctx, "read the version of the store", func(ctx context.Context) error {
		var exists bool
		if err := db.read.QueryRowContext(ctx, db.hasVersions).Scan(&exists); err != nil || !exists {
			return err
		}
		var version sql.NullInt64
		err := db.read.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&version)
		current = version.Int64 >= latest
		return err
	})
	return current, err
}

// latestMigration returns the version of the newest step.
func (db *DB) latestMigration() (int64, error) {
	files, err := fs.ReadDir(migrations, db.migrationsDir())
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(files[len(files)-1].Name()) // sorted by name
}

func (db *DB) migrationsDir() string { return path.Join("migrations", string(db.engine)) }

// migrator is a database during its migration.
type migrator struct {
	db      *sql.DB
	options []goose.ProviderOption
	close   func() error
}

func (db *DB) withGoose(ctx context.Context, work func(*goose.Provider) error) (err error) {
	m, err := db.openMigrator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()

	steps, err := fs.Sub(migrations, db.migrationsDir())
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(db.goose, m.db, steps, append(m.options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	return work(provider)
}

// openPostgresMigrator gives statements the time that they need, but does not let them hold up the others for long while
// they wait for a lock.
func openPostgresMigrator(url secret.Text) (*migrator, error) {
	config, err := postgresConfig(url, map[string]string{"statement_timeout": "0", "lock_timeout": "10s"})
	if err != nil {
		return nil, err
	}
	locker, err := newMigrationLocker()
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	return &migrator{db: db, options: []goose.ProviderOption{goose.WithSessionLocker(locker)}, close: db.Close}, nil
}

// newMigrationLocker returns the lock that one process holds while it migrates or adopts a Postgres database. The others wait.
func newMigrationLocker() (lock.SessionLocker, error) {
	const seconds, tries = 1, 300
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(seconds, tries))
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	return locker, nil
}
