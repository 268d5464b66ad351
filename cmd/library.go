package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
)

func newLibrary() *cobra.Command {
	c := &cobra.Command{
		Use:   "library",
		Short: "Keep your books, with or without a network",
		Long: `Keep your books, with or without a network: those of your account, which your other devices have too, or in offline mode those of a
guest, which never leave this device. What you change is here at once; 'library sync' uploads it and brings what other devices did, and
'library watch' does so all the time. Books are named by their id, or as much of its beginning as no other has.`,
		Example: `  provisioner library add 'Middlemarch' --author 'George Eliot'
  provisioner library list --status inProgress
  provisioner library sync`,
	}
	c.AddCommand(
		newLibraryList(), newLibraryAdd(), newLibraryEdit(), newLibraryRemove(), newLibraryImport(),
		newLibraryWatch(), newLibrarySync(), newLibraryStatus(),
	)
	return userCommand(c)
}

// withLibrary runs a command's work with the open library, without a request, and then mentions what a sync would do.
func withLibrary(c *cobra.Command, work func(ctx context.Context, a *app, store *library.DataStore) error) error {
	return runApp(c, (*papyrus.AuthProvider).Restore, func(ctx context.Context, a *app) error {
		store, err := a.store()
		if err != nil {
			return err
		}
		err = work(ctx, a, store)
		return errors.Join(err, a.mentionSync(context.WithoutCancel(ctx), c.ErrOrStderr()))
	})
}

// store returns the books of the open library, or an error that says what to do.
func (a *app) store() (*library.DataStore, error) {
	store, err := a.library.Store()
	switch state := a.auth.State(); {
	case err == nil:
		return store, nil
	case state.Status == papyrus.StatusOffline: // as whom is not known
		return nil, state.Err
	}
	return nil, fmt.Errorf("%w, and offline mode is off", papyrus.ErrSignedOut)
}

// mentionSync says how much waits to be uploaded, or that nothing has ever been downloaded.
func (a *app) mentionSync(ctx context.Context, w io.Writer) error {
	n, err := a.library.Queued(ctx)
	switch {
	case err != nil:
		return err
	case n > 0:
		_, err = fmt.Fprintln(w, waiting(n)+" to be uploaded: run `provisioner library sync`")
	case a.library.Kind() == library.Account && a.library.Status().LastSyncedAt.IsZero():
		_, err = fmt.Fprintln(w, "what your other devices have is not here yet: run `provisioner library sync`")
	}
	return err
}

func waiting(n int) string {
	if n == 1 {
		return "1 change waits"
	}
	return fmt.Sprintf("%d changes wait", n)
}

// bindForce gives a command that may clear the account's library the flag that says so.
func bindForce(c *cobra.Command, force *bool) {
	c.Flags().BoolVar(force, "force", false, "lose what waits to be uploaded, if anything does")
}

// mayEnter is mayForget for a sign-in, with the email in args if it is known: only somebody else's clears anything.
func (a *app) mayEnter(ctx context.Context, c *cobra.Command, args []string, force bool) error {
	if user := a.auth.State().User; user != nil && len(args) > 0 && strings.EqualFold(user.Email, strings.TrimSpace(args[0])) {
		return nil
	}
	return a.mayForget(ctx, c, force)
}

// mayForget returns nil if the account's library may be cleared: nothing would be lost, force says so, or a person does.
func (a *app) mayForget(ctx context.Context, c *cobra.Command, force bool) error {
	n, err := a.library.Queued(ctx)
	if err != nil || n == 0 || force {
		return err
	}
	return ask(c, waiting(n)+" to be uploaded, and would be lost: `provisioner library sync` uploads what waits. Go on without?", "--force")
}

// tellUpload tells a person of an upload that the server did not take as it was.
func tellUpload(w io.Writer, u library.Upload) {
	for _, r := range u.Result.Rejected {
		_, _ = fmt.Fprintf(w, "the server rejected a change, which is undone: %s: %s (%s)\n", bookOf(u.Transaction, r.OpID), cell(r.Message), cell(r.Code))
	}
	for _, warning := range u.Result.Warnings {
		_, _ = fmt.Fprintf(w, "the server left out a field: %s: %s %s\n", bookOf(u.Transaction, warning.OpID), cell(warning.Field), cell(warning.Message))
	}
}

// bookOf names the book of an operation, by its title where that was changed: it may be nowhere else any more.
func bookOf(t powersync.Transaction, opID int64) string {
	for _, m := range t.Mutations {
		if m.OpID != opID {
			continue
		}
		var changed struct{ Title, Author string }
		if err := json.Unmarshal(m.Data, &changed); err != nil || changed.Title == "" {
			return "book " + cell(m.ID)
		}
		return nameOf(library.Book{Title: changed.Title, Author: changed.Author})
	}
	return "a book"
}

// sentence returns err with the name of the book that the person gave.
func sentence(err error, id string) error {
	switch {
	case errors.Is(err, library.ErrNotFound):
		return fmt.Errorf("no book has an id that begins with %q: `provisioner library list` shows the ids", id)
	case errors.Is(err, library.ErrAmbiguous):
		return fmt.Errorf("several books have an id that begins with %q: give more of it", id)
	}
	return err
}
