package cmd

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

func newSync() *cobra.Command {
	c := &cobra.Command{
		Use:     "sync",
		Short:   "Look after what devices sync",
		Example: "  provisioner sync status --data-dir /var/lib/provisioner",
	}
	bindStoreFlags(c)
	c.AddCommand(newSyncStatus(), newSyncCompact(), newSyncDeadLetters())
	return c
}

// syncRecord is the state of what is synced as the command prints it.
type syncRecord struct {
	Users            int64      `json:"users"`
	Buckets          int64      `json:"buckets"`
	Operations       int64      `json:"operations"`
	Void             int64      `json:"void"`
	Backlog          int64      `json:"backlog"`
	Clients          int64      `json:"clients"`
	DeadLetters      int64      `json:"deadLetters"`
	OldestDeadLetter *time.Time `json:"oldestDeadLetter"` // null for none
}

func newSyncRecord(s syncstream.Status) syncRecord {
	return syncRecord{
		Users: s.Users, Buckets: s.Buckets, Operations: s.Ops, Void: s.Void, Backlog: s.Backlog, Clients: s.Clients,
		DeadLetters: s.DeadLetters, OldestDeadLetter: timeOrNil(s.OldestDeadLetter),
	}
}

func newSyncStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Count what is synced, and what could not be",
		Long: `Count what is synced, and what could not be. A backlog that does not go away means that the accounts service does not run or
cannot write: it does the work each minute, and says in its log what is in the way.`,
		Example: "  provisioner sync status --json | jq .deadLetters",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				s, err := db.SyncStatus(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c, newSyncRecord(s))
				}
				return printStatus(c, s)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return c
}

func printStatus(c *cobra.Command, s syncstream.Status) error {
	oldest := ""
	if !s.OldestDeadLetter.IsZero() {
		oldest = ", the oldest of " + s.OldestDeadLetter.Format(time.RFC3339)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		name  string
		count int64
		means string
	}{
		{"users", s.Users, "that sync"},
		{"buckets", s.Buckets, "one a user and table"},
		{"operations", s.Ops, "in all buckets"},
		{"void", s.Void, "of them, about, that compaction would empty"},
		{"backlog", s.Backlog, "rows that await their operation, within a minute of the accounts service"},
		{"clients", s.Clients, "whose write checkpoints are kept"},
		{"dead letters", s.DeadLetters, "uploads that could not succeed" + oldest},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", row.name, row.count, row.means)
	}
	return w.Flush()
}

func newSyncCompact() *cobra.Command {
	var void int64
	c := &cobra.Command{
		Use:   "compact",
		Short: "Make the operations of buckets fewer, now",
		Long: `Make the operations of buckets fewer, now. The accounts service does so by itself each minute, where a bucket is
worth it; beside it this does no harm. Devices notice nothing.`,
		Example: "  provisioner sync compact --void 1",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if void < 1 {
				return &usageError{errors.New("--void must be at least 1")}
			}
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error { return compact(ctx, c, db, void) })
		},
	}
	c.Flags().Int64Var(&void, "void", syncstream.WorthCompacting, "only buckets with at least so many void operations")
	return c
}

// compact tells rows that no operation tells of, and compacts buckets. Progress goes to the error output.
func compact(ctx context.Context, c *cobra.Command, store syncstream.Compactor, void int64) error {
	rows, err := syncstream.Backfill(ctx, store, func(rows int) {
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "%d rows got operations\n", rows)
	})
	if err != nil {
		return fmt.Errorf("after %d rows: %w", rows, err)
	}
	done, err := store.Compact(ctx, void)
	_, _ = fmt.Fprintf(c.OutOrStdout(), "compacted %d buckets: %d operations moved, %d cleared; %d rows got operations\n",
		done.Buckets, done.Moved, done.Cleared, rows)
	return err
}
