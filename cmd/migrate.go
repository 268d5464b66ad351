package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
)

func newMigrate() *cobra.Command {
	c := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring the database's schema up to date, or show where it stands",
		Example: "  provisioner migrate status",
		Long: `Bring the database's schema up to date, or show where it stands. The services do so themselves when they start, unless
AUTO_MIGRATE is false.`,
	}
	bindStoreFlags(c)
	c.AddCommand(newMigrateUp(), newMigrateStatus())
	return c
}

func newMigrateUp() *cobra.Command {
	return &cobra.Command{
		Use:     "up",
		Short:   "Apply what is pending",
		Example: "  DATABASE_URL=postgres://app@db/app provisioner migrate up",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := storeConfig(c)
			if err != nil {
				return err
			}
			cfg.Database.AutoMigrate = true
			db, err := openStore(c.Context(), cfg)
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			_, err = fmt.Fprintln(c.OutOrStdout(), "the schema is up to date")
			return err
		},
	}
}

type migrationState struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"appliedAt"` // null while it is pending
}

func newMigrateStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show which steps are applied; the exit code is 1 if any is pending",
		Example: "  provisioner migrate status --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				steps, err := db.MigrationStatus(ctx)
				if err != nil {
					return err
				}
				return printMigrations(c, steps, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printMigrations(c *cobra.Command, steps []store.Migration, asJSON bool) error {
	pending := false
	states := make([]migrationState, len(steps))
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for i, s := range steps {
		states[i] = migrationState{Version: s.Version, Name: s.Name}
		applied := "pending"
		if !s.AppliedAt.IsZero() {
			states[i].AppliedAt, applied = &s.AppliedAt, s.AppliedAt.Format(time.RFC3339)
		}
		pending = pending || s.AppliedAt.IsZero()
		_, _ = fmt.Fprintf(w, "%s\t%s\n", s.Name, applied)
	}
	write := w.Flush
	if asJSON {
		write = func() error { return printJSON(c, states) }
	}
	if err := write(); err != nil {
		return err
	}
	if pending {
		return errSilent
	}
	return nil
}
