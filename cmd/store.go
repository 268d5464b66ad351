package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
)

// openStore opens the configured database, and brings its schema up to date unless AUTO_MIGRATE is off.
func openStore(ctx context.Context, cfg *config.Config) (*store.DB, error) {
	db, err := store.Open(ctx, store.Config{Engine: store.Engine(cfg.Database.Engine), Path: cfg.Database.Path, URL: cfg.Database.URL})
	if err != nil {
		return nil, err
	}
	if !cfg.Database.AutoMigrate {
		return db, nil
	}
	if err := db.Migrate(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// storeConfig returns the settings of a command that works on the database alone.
func storeConfig(c *cobra.Command) (*config.Config, error) {
	cfg, _, err := config.LoadPart(config.Options{Service: config.Papyrus, Flags: c.Flags()}, "DATABASE_URL", "DATA_DIR", "AUTO_MIGRATE", "TIERS")
	return cfg, err
}

// withStore runs a command's work on the configured database.
func withStore(c *cobra.Command, work func(ctx context.Context, db *store.DB, cfg *config.Config) error) error {
	cfg, err := storeConfig(c)
	if err != nil {
		return err
	}
	db, err := openStore(c.Context(), cfg)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer func() { _ = db.Close() }()
	return work(c.Context(), db, cfg)
}
