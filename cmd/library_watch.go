package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

func newLibraryWatch() *cobra.Command {
	var asJSON bool
	var want selection
	c := &cobra.Command{
		Use:   "watch [TEXT]",
		Short: "Show books as they change on any of your devices, and sync all the while",
		Long: `Show books as they change on any of your devices, and sync all the while; without a network it goes on, and syncs when there is one. On
a terminal it is a table through which arrows, j and k, page up and down, Home and End move, until q or Ctrl-C. In a pipe, and with --json,
it is a line of JSON for each state of the library.`,
		Example: `  provisioner library watch --status inProgress
  provisioner library watch --json | jq --unbuffered '.books | length'`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := want.read(args); err != nil {
				return err
			}
			return runApp(c, (*papyrus.AuthProvider).Restore, func(ctx context.Context, a *app) error {
				store, err := a.store()
				if err != nil {
					return err
				}
				if a.library.Kind() == library.Account {
					if err := a.library.Connect(); err != nil {
						return err
					}
				}
				ctx, end := context.WithCancelCause(ctx)
				defer end(nil)
				go a.endWith(ctx, end)
				w := &watching{app: a, store: store, want: want}
				if screen := terminal(c.OutOrStdout()); screen != nil && !asJSON {
					err = w.onScreen(ctx, screen, terminal(c.InOrStdin()))
				} else {
					err = w.asLines(ctx, func(s watchRecord) error { return printLine(c, s) })
				}
				return a.settle(ctx, err)
			})
		},
	}
	want.bind(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each state of the library")
	return c
}

// watchRecord is one state of the library as the command prints it.
type watchRecord struct {
	Books []library.Book `json:"books"`
}

// watching is a library that somebody watches.
type watching struct {
	app   *app
	store *library.DataStore
	want  selection
}

// asLines hands each state of the library to write.
func (w *watching) asLines(ctx context.Context, write func(watchRecord) error) error {
	for snapshot := range w.store.Changes(ctx) {
		if err := write(watchRecord{append([]library.Book{}, w.want.of(snapshot.Books)...)}); err != nil {
			return err
		}
	}
	return w.end(ctx)
}

// end returns why the library is no longer watched.
func (w *watching) end(ctx context.Context) error {
	switch err := context.Cause(ctx); {
	case errors.Is(err, context.Canceled):
		return nil // the person has seen enough
	case err != nil:
		return err
	}
	if _, err := w.store.Snapshot(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, library.ErrNotYours) {
		return err
	}
	return errGone
}

// title says whose library it is, how many books there are, and how it goes.
func (w *watching) title(ctx context.Context, count string) string {
	user := w.app.auth.State().User
	if user == nil {
		return "guest · " + count + " · on this device alone"
	}
	s := w.app.library.Status()
	state := "offline"
	switch {
	case s.Elsewhere:
		state = "synced by another process"
	case s.Downloading && s.Expected > 0:
		state = fmt.Sprintf("downloading %d of %d", s.Received, s.Expected)
	case s.Connected:
		state = "in sync"
	case s.Connecting && s.DownloadError == nil:
		state = "connecting"
	}
	if queued, err := w.app.library.Queued(ctx); err == nil && queued > 0 {
		state += ", " + waiting(queued)
	}
	return fmt.Sprintf("%s · %s · %s", cell(user.Email), count, state)
}

// lookEvery is how often it is looked whether the terminal has another size.
const lookEvery = 250 * time.Millisecond
