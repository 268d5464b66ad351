package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
)

func newLibrarySync() *cobra.Command {
	var patience time.Duration
	c := &cobra.Command{
		Use:   "sync",
		Short: "Upload what waits, and bring what your other devices did",
		Long: `Upload what waits, and bring what your other devices did. It ends when this device has all that the server had as it began. What the
server did not take is told of.`,
		Example: "  provisioner library sync --timeout 5m",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runApp(c, (*papyrus.AuthProvider).Restore, func(ctx context.Context, a *app) error {
				limited, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				if err := a.reach(limited); err != nil {
					return err
				}
				err := a.sync(limited, terminal(c.ErrOrStderr()))
				if err := a.settle(ctx, err); err != nil {
					return err
				}
				return a.sayBooks(ctx, c.OutOrStdout())
			})
		},
	}
	c.Flags().DurationVar(&patience, "timeout", 2*time.Minute, "how long to try")
	return c
}

// reach returns nil if the server has said who is signed in, before ctx ends.
func (a *app) reach(ctx context.Context) error {
	if a.auth.State().Status == papyrus.StatusOffline { // else there is nobody to ask for
		if err := a.auth.Bootstrap(ctx); errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w in time", papyrus.ErrUnreachable)
		} else if err != nil {
			return err
		}
	}
	_, err := a.signedIn()
	return a.settle(ctx, err)
}

// sync syncs the library until ctx ends, showing on screen, unless that is nil, how it goes.
func (a *app) sync(ctx context.Context, screen *os.File) error {
	limited, end := context.WithCancelCause(ctx)
	defer end(nil)
	if err := a.library.Connect(); err != nil {
		return err
	}
	defer a.library.Disconnect()
	go a.endWith(limited, end)
	shows := make(chan struct{})
	go func() {
		defer close(shows)
		if screen != nil {
			defer a.messages.hold()()
			a.show(limited, screen)
		}
	}()
	err := unsynced(limited, a.library.AwaitSynced(limited), a.library.Status())
	end(nil)
	<-shows
	return err
}

// unsynced returns for a person why the library is not synced, nil if err is nil. With ctx ends the time for it.
func unsynced(ctx context.Context, err error, s powersync.Status) error {
	switch cause := context.Cause(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, powersync.ErrCleared):
		return errGone
	case errors.Is(cause, context.DeadlineExceeded):
		if why := cmp.Or(s.UploadError, s.DownloadError); why != nil {
			return fmt.Errorf("not synced in time: %w", why)
		}
		return errors.New("not synced in time: what has come is kept, and the same command goes on (--timeout is how long it tries)")
	case cause != nil:
		return cause
	}
	return err
}

// show shows on a terminal how it goes, until ctx ends.
func (a *app) show(ctx context.Context, screen *os.File) {
	for range a.library.StatusChanges(ctx) {
		_, _ = fmt.Fprintf(screen, "\r\x1b[K%s", a.progress(ctx, a.library.Status()))
	}
	_, _ = fmt.Fprint(screen, "\r\x1b[K")
}

// endWith ends ctx with an error of syncing that no further try mends: the sign-in has ended.
func (a *app) endWith(ctx context.Context, end context.CancelCauseFunc) {
	for range a.library.StatusChanges(ctx) {
		if err := endOf(a.library.Status()); err != nil {
			end(err)
			return
		}
	}
}

// errGone ends what goes on for an account's library that is no longer on this device.
var errGone = fmt.Errorf("%w any more: another process signed out, or in as somebody else", papyrus.ErrSignedOut)

// endOf returns the error that no further try mends, nil while there is none.
func endOf(s powersync.Status) error {
	for _, err := range []error{s.DownloadError, s.UploadError} {
		if errors.Is(err, papyrus.ErrOtherUser) || errors.Is(err, powersync.ErrCleared) {
			return errGone
		}
		if errors.Is(err, papyrus.ErrSignedOut) {
			return err
		}
	}
	return nil
}

// settle returns the error with which syncing ended. If that is for the sign-in, the device is in line with who is signed in now.
func (a *app) settle(ctx context.Context, err error) error {
	if !errors.Is(err, papyrus.ErrSignedOut) {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	return errors.Join(err, a.auth.Restore(ctx), a.apply(ctx))
}

// progress says how it goes, on one line.
func (a *app) progress(ctx context.Context, s powersync.Status) string {
	queued, err := a.library.Queued(ctx)
	switch {
	case s.Elsewhere:
		return "another process syncs this library"
	case err == nil && queued > 0 && s.Uploading:
		return "uploading: " + waiting(queued)
	case s.Downloading && s.Expected > 0:
		return fmt.Sprintf("downloading: %d of %d", s.Received, s.Expected)
	case s.Connected:
		return "connected"
	}
	return "connecting"
}

// sayBooks says how many books there are.
func (a *app) sayBooks(ctx context.Context, w io.Writer) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	books, err := store.Count(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, "synced: "+countBooks(books))
	return err
}

func countBooks(books int) string {
	if books == 1 {
		return "1 book"
	}
	return fmt.Sprintf("%d books", books)
}

// libraryRecord is the state of the library as the command prints it.
type libraryRecord struct {
	Library      library.Kind `json:"library"` // "" where none is open
	Email        string       `json:"email"`
	UserID       string       `json:"userId"`
	Server       string       `json:"server"`
	Books        int          `json:"books"`
	Queued       int          `json:"queued"`
	LastSyncedAt *time.Time   `json:"lastSyncedAt"` // null for never
	File         string       `json:"file"`
}

func newLibraryStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show which library is open, what waits, and where it is kept",
		Example: "  provisioner library status --json | jq .queued",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runApp(c, (*papyrus.AuthProvider).Restore, func(ctx context.Context, a *app) error {
				r, err := a.libraryRecord(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c, r)
				}
				return r.print(c.OutOrStdout())
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) libraryRecord(ctx context.Context) (libraryRecord, error) {
	r := libraryRecord{Library: a.library.Kind()}
	if user := a.auth.State().User; user != nil {
		r.Email, r.UserID, r.Server = user.Email, user.ID, a.repository.Server()
	}
	store, err := a.library.Store()
	if errors.Is(err, library.ErrNoLibrary) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if r.Books, err = store.Count(ctx); err != nil {
		return r, err
	}
	r.File, r.LastSyncedAt = a.library.Path(r.Library), timeOrNil(a.library.Status().LastSyncedAt.UTC())
	r.Queued, err = a.library.Queued(ctx)
	return r, err
}

func (r libraryRecord) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	switch r.Library {
	case library.Account:
		_, _ = fmt.Fprintf(w, "Library\tof %s at %s\nBooks\t%d\nWaiting\t%d\nLast synced\t%s\nFile\t%s\n",
			cell(r.Email), r.Server, r.Books, r.Queued, showTimeOrNever(r.LastSyncedAt), r.File)
	case library.Guest:
		_, _ = fmt.Fprintf(w, "Library\tof the guest: offline mode is on\nBooks\t%d\nFile\t%s\n", r.Books, r.File)
	default:
		_, _ = fmt.Fprintf(w, "Library\tnone: not signed in, and offline mode is off\n")
	}
	return w.Flush()
}

func showTimeOrNever(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return showTime(*t)
}
