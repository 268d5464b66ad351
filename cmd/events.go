package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/store"
)

func newEvents() *cobra.Command {
	c := &cobra.Command{
		Use:     "events",
		Short:   "List and export the events that clients reported",
		Example: "  provisioner events list --since 1h",
	}
	bindStoreFlags(c)
	c.AddCommand(newEventsList(), newEventsExport())
	return c
}

// eventFlags narrow a listing.
type eventFlags struct {
	filter       event.Filter
	since, until string
}

func (f *eventFlags) bind(c *cobra.Command, limit int) {
	c.Flags().StringVar(&f.filter.UserID, "user", "", "only this user's")
	c.Flags().StringVar(&f.filter.Action, "action", "", "only of this action")
	c.Flags().StringVar(&f.since, "since", "", "received at or after this RFC 3339 `time`, or so long ago (24h)")
	c.Flags().StringVar(&f.until, "until", "", "received before this RFC 3339 `time`, or so long ago")
	c.Flags().IntVar(&f.filter.Limit, "limit", limit, "at most so many, 0 for all")
}

func (f *eventFlags) read(now time.Time) (event.Filter, error) {
	out := f.filter
	if out.Limit < 0 {
		return out, &usageError{errors.New("--limit is negative; 0 is for all")}
	}
	var err error
	if out.Since, err = parseWhen("since", f.since, now); err != nil {
		return out, err
	}
	out.Until, err = parseWhen("until", f.until, now)
	return out, err
}

// parseWhen reads a time, or a duration before now; "" is the zero time.
func parseWhen(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, &usageError{fmt.Errorf("--%s %q is neither an RFC 3339 time nor a duration like 24h", flag, text)}
	}
	return at, nil
}

func newEventsList() *cobra.Command {
	var flags eventFlags
	c := &cobra.Command{
		Use:     "list",
		Short:   "List events, oldest first",
		Example: "  provisioner events list --since 24h --action app_opened",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.each(c, func(e event.Event) error {
				verified := ""
				if e.Verified {
					verified = " verified"
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s %s%s\n", e.ReceivedAt.Format(time.RFC3339), e.UserID, e.Action, verified)
				return err
			})
		},
	}
	flags.bind(c, 100)
	return c
}

// exportedEvent is a line of an export.
type exportedEvent struct {
	event.Event
	Body json.RawMessage `json:"body"`
}

func newEventsExport() *cobra.Command {
	var flags eventFlags
	c := &cobra.Command{
		Use:     "export",
		Short:   "Write events as JSON, one a line, with their bodies",
		Example: "  provisioner events export --since 2026-11-01T00:00:00Z > events.ndjson",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.each(c, func(e event.Event) error { return printLine(c, exportedEvent{e, e.Body}) })
		},
	}
	flags.bind(c, 0)
	return c
}

func (f *eventFlags) each(c *cobra.Command, visit func(event.Event) error) error {
	filter, err := f.read(time.Now())
	if err != nil {
		return err
	}
	return withStore(c, func(ctx context.Context, db *store.DB, _ *config.Config) error {
		for e, err := range db.Events(ctx, filter) {
			if err != nil {
				return err
			}
			if err := visit(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// printLine writes v as one line of JSON.
func printLine(c *cobra.Command, v any) error { return writeJSON(c.OutOrStdout(), v, "") }
