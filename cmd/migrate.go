package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
)

func newMigrate() *cobra.Command {
	c := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring the database's schema up to date, or show where it stands",
		Example: "  provisioner migrate status",
		Long: `Bring the database's schema up to date, or show where it stands. The services do so themselves when they start, unless
AUTO_MIGRATE is false: then they do not start on a schema that is older than they are.`,
	}
	bindStoreFlags(c)
	c.AddCommand(newMigrateUp(), newMigrateStatus(), newMigrateAdopt())
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
			return withAnyStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
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

func newMigrateAdopt() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "adopt",
		Short: "Make an existing Papyrus database provisioner's, in place",
		Long: `Make an existing Papyrus database provisioner's, in place, in one transaction. Accounts, passwords, linked identities and live
sessions go on, and tables that provisioner does not know stay as they are. What stands in the way is told at once, and then
nothing is changed. Stop the Papyrus server and make a backup before.`,
		Example: `  DATABASE_URL=postgres://papyrus@db/papyrus provisioner migrate adopt --dry-run
  DATABASE_URL=postgres://papyrus@db/papyrus provisioner migrate adopt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withAnyStore(c, func(ctx context.Context, db *store.DB, cfg *config.Config) error {
				done, err := db.Adopt(ctx, store.AdoptOptions{
					Plan: cfg.Tiers[0].Name, DryRun: dryRun, Audit: audit.New(ctx, time.Now(), audit.DatabaseAdopted, ""),
				})
				if err != nil {
					return err
				}
				return printAdoption(c, done, dryRun)
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "do it all, say what was done, then undo it")
	return c
}

// printAdoption prints the SQL, and as comments in it what is for people.
func printAdoption(c *cobra.Command, done store.Adoption, dryRun bool) error {
	for _, statement := range done.Statements {
		if _, err := fmt.Fprintln(c.OutOrStdout(), statement+";"); err != nil {
			return err
		}
	}
	for _, remark := range done.Remarks {
		if _, err := fmt.Fprintln(c.OutOrStdout(), "-- note:", remark); err != nil {
			return err
		}
	}
	outcome := "adopted"
	if dryRun {
		outcome = "nothing was changed; to be adopted are"
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "-- %s %d accounts and %d live sessions\n", outcome, done.Users, done.Sessions)
	return err
}
