package cmd

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
)

// opener opens the configured database.
type opener func(ctx context.Context, cfg *config.Config) (*store.DB, error)

// openStore opens the configured database, and brings its schema up to date, or where AUTO_MIGRATE is off refuses one that is not.
func openStore(ctx context.Context, cfg *config.Config) (*store.DB, error) {
	db, err := openAsItIs(ctx, cfg)
	if err != nil {
		return nil, err
	}
	prepare := db.Migrate
	if !cfg.Database.AutoMigrate {
		prepare = db.CheckSchema
	}
	if err := prepare(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("%s: %w", place(cfg), err)
	}
	return db, nil
}

// openAsItIs opens the configured database, whatever its schema.
func openAsItIs(ctx context.Context, cfg *config.Config) (*store.DB, error) {
	db, err := store.Open(ctx, store.Config{
		Engine: store.Engine(cfg.Database.Engine), Path: cfg.Database.Path, URL: cfg.Database.URL,
		Traced: cfg.Traces.Endpoint != nil,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place(cfg), err)
	}
	return db, nil
}

// place names the database and the setting that it comes from. A connection URL may hold a password.
func place(cfg *config.Config) string {
	if cfg.Database.Engine == config.Postgres {
		return "the Postgres database of DATABASE_URL"
	}
	return "the database " + cfg.Database.Path + " (DATA_DIR or DATABASE_URL)"
}

// storeSettings are the settings of commands that work on the database alone.
var storeSettings = []string{"DATABASE_URL", "DATA_DIR", "AUTO_MIGRATE", "TIERS"}

// bindStoreFlags adds the flags of storeSettings to a command and all below it.
func bindStoreFlags(c *cobra.Command) { config.BindPartFlags(c.PersistentFlags(), "DATA_DIR", "TIERS") }

func storeConfig(c *cobra.Command) (*config.Config, error) {
	cfg, _, err := config.LoadPart(config.Options{Service: config.Papyrus, Flags: c.Flags()}, storeSettings...)
	return cfg, err
}

// openExisting opens a database that a service has made, with open, and changes nothing: neither does it make one where there is
// none, nor bring the schema of a running installation up to date.
func openExisting(ctx context.Context, cfg *config.Config, open opener) (*store.DB, error) {
	if cfg.Database.Engine == config.SQLite {
		if _, err := os.Stat(cfg.Database.Path); err != nil {
			return nil, fmt.Errorf("there is no database at %s: set DATA_DIR (--data-dir) or DATABASE_URL to that of the service", cfg.Database.Path)
		}
	}
	looking := *cfg
	looking.Database.AutoMigrate = false
	return open(ctx, &looking)
}

// storeWork is a command's work on a database.
type storeWork func(ctx context.Context, db *store.DB, cfg *config.Config) error

// withStore runs a command's work on the configured database, of which the schema must be up to date.
func withStore(c *cobra.Command, work storeWork) error { return workOn(c, openStore, work) }

// withAnyStore runs a command's work on the configured database, whatever its schema.
func withAnyStore(c *cobra.Command, work storeWork) error { return workOn(c, openAsItIs, work) }

func workOn(c *cobra.Command, open opener, work storeWork) error {
	cfg, err := storeConfig(c)
	if err != nil {
		return err
	}
	db, err := openExisting(c.Context(), cfg, open)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return work(c.Context(), db, cfg)
}
