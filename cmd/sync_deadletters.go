package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
)

func newSyncDeadLetters() *cobra.Command {
	c := &cobra.Command{
		Use:   "dead-letters",
		Short: "Look after uploads that can never succeed",
		Long: `Look after uploads that can never succeed: of another user's rows, unknown tables or operations, bad ids, or too much. The
device was told and went on; what it sent is kept here until it is dropped, the newest of each user.`,
		Example: "  provisioner sync dead-letters list",
	}
	c.AddCommand(newDeadLettersList(), newDeadLettersShow(), newDeadLettersReplay(), newDeadLettersDrop())
	return c
}

// letterRecord is a dead letter as the commands print it.
type letterRecord struct {
	ID         string          `json:"id"`
	UserID     string          `json:"userId"`
	SessionID  string          `json:"sessionId"`
	ReceivedAt time.Time       `json:"receivedAt"`
	Size       int64           `json:"size"`
	Whole      bool            `json:"whole"`
	Rejected   json.RawMessage `json:"rejected"`
	Body       any             `json:"body,omitempty"` // of show: what the device sent
}

func newLetterRecord(l library.DeadLetter) letterRecord {
	return letterRecord{
		ID: l.ID, UserID: l.UserID, SessionID: l.SessionID, ReceivedAt: l.ReceivedAt, Size: l.Size, Whole: l.Whole(), Rejected: l.Rejected,
	}
}

// code returns why the first operation was rejected.
func (r letterRecord) code() string {
	var rejected []struct{ Code string }
	if json.Unmarshal(r.Rejected, &rejected) != nil || len(rejected) == 0 {
		return ""
	}
	return rejected[0].Code
}

// letterQuery is what the flags of dead-letters list ask for.
type letterQuery struct {
	user  string
	limit int
}

func newDeadLettersList() *cobra.Command {
	var q letterQuery
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the newest first",
		Example: `  provisioner sync dead-letters list --user reader@example.com
  provisioner sync dead-letters list --json | jq -r .id`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
				l, err := q.letters(ctx, db)
				if err != nil {
					return err
				}
				return printLetters(ctx, c, db, l, asJSON)
			})
		},
	}
	c.Flags().StringVar(&q.user, "user", "", "only of this user, by id or email")
	c.Flags().IntVar(&q.limit, "limit", 100, "at most so many, 0 for all")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

func (q letterQuery) letters(ctx context.Context, db *store.DB) (library.Letters, error) {
	if q.limit < 0 {
		return library.Letters{}, &usageError{fmt.Errorf("--limit %d is less than 0", q.limit)}
	}
	if q.user == "" {
		return library.Letters{Limit: q.limit}, nil
	}
	u, err := findUser(ctx, db, q.user)
	return library.Letters{UserID: u.ID, Limit: q.limit}, err
}

func printLetters(ctx context.Context, c *cobra.Command, db *store.DB, l library.Letters, asJSON bool) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	if !asJSON {
		_, _ = fmt.Fprintln(w, "ID\tRECEIVED\tUSER\tBYTES\tWHY")
	}
	for letter, err := range library.ListLetters(ctx, db, l) {
		if err != nil {
			return err
		}
		r := newLetterRecord(letter)
		if asJSON {
			err = printLine(c, r)
		} else {
			_, err = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", r.ID, r.ReceivedAt.Format(time.RFC3339), r.UserID, r.Size, r.code())
		}
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// withLetter runs work on a dead letter with its body, whoever's.
func withLetter(c *cobra.Command, id string, work func(ctx context.Context, db *store.DB, l library.DeadLetter) error) error {
	return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
		l, err := db.DeadLetter(ctx, "", id)
		if errors.Is(err, library.ErrNotFound) {
			return fmt.Errorf("no dead letter %q: see provisioner sync dead-letters list", id)
		}
		if err != nil {
			return err
		}
		return work(ctx, db, l)
	})
}

func newDeadLettersShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show a dead letter with what the device sent, as JSON",
		Example: "  provisioner sync dead-letters show 0f8b2f6e-1c55-4c12-8f0a-9c7d4be0a5d1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withLetter(c, args[0], func(_ context.Context, _ *store.DB, l library.DeadLetter) error {
				record := newLetterRecord(l)
				record.Body = l.Content()
				return printJSON(c, record)
			})
		},
	}
}

func newDeadLettersReplay() *cobra.Command {
	return &cobra.Command{
		Use:   "replay ID",
		Short: "Upload a dead letter again, and drop it if it succeeds",
		Long: `Upload a dead letter again, as its user: after an update that knows its tables or operations, say. It is dropped unless it is
rejected again. What it says goes over what the user has done to the same columns since.`,
		Example: "  provisioner sync dead-letters replay 0f8b2f6e-1c55-4c12-8f0a-9c7d4be0a5d1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withLetter(c, args[0], func(ctx context.Context, db *store.DB, l library.DeadLetter) error {
				return replayLetter(ctx, c, db, l)
			})
		},
	}
}

func replayLetter(ctx context.Context, c *cobra.Command, db *store.DB, l library.DeadLetter) error {
	uploads := library.NewUploader(library.Config{Store: db, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	answer, err := uploads.Replay(ctx, l)
	switch {
	case errors.Is(err, library.ErrNotWhole):
		return fmt.Errorf("of the dead letter %s only the beginning was kept: it can only be dropped", l.ID)
	case err != nil:
		return err
	case answer.Result == library.Rejected:
		return fmt.Errorf("the dead letter %s is rejected again: %s", l.ID, answer.JSON)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is uploaded and dropped: %s\n", l.ID, answer.JSON)
	return err
}

func newDeadLettersDrop() *cobra.Command {
	var sure bool
	c := &cobra.Command{
		Use:     "drop ID --yes",
		Short:   "Erase a dead letter, for good",
		Example: "  provisioner sync dead-letters drop 0f8b2f6e-1c55-4c12-8f0a-9c7d4be0a5d1 --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !sure {
				return &usageError{errors.New("this erases what a device sent, for good: add --yes")}
			}
			return withLetter(c, args[0], func(ctx context.Context, db *store.DB, l library.DeadLetter) error {
				if err := db.DropDeadLetter(ctx, l.ID, audit.New(ctx, time.Now().UTC(), audit.DeadLetterDropped, "")); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s is dropped\n", l.ID)
				return err
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "drop without asking")
	return c
}
