package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/library/source"
)

// importRecord is what became of an import as the command prints it.
type importRecord struct {
	Added    int           `json:"added"`
	There    int           `json:"there"` // imported before
	Failed   int           `json:"failed"`
	Complete bool          `json:"complete"` // false if it was interrupted
	Failures []faultRecord `json:"failures"`
	Warnings []faultRecord `json:"warnings"`
}

// faultRecord says what is wrong with a file or a row.
type faultRecord struct {
	Name  string `json:"name"`
	Fault string `json:"fault"`
}

func newLibraryImport() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "import DIRECTORY | FILE.csv",
		Short: "Add the books of a directory of EPUB files, or of a CSV table",
		Long: `Add the books of a directory of EPUB files, those below it included, or of a CSV table whose first row names its columns: as this
program does (title, author, co_authors, isbn, page_count, reading_status, …), or as exports of Goodreads and Calibre do. Commas,
semicolons or tabs may stand between.

What was imported before, on any of your devices, is passed over: an import that was interrupted goes on where it was, and one that is
repeated adds what is new. A bad file or row is named, and the rest goes on; the exit code is 1 then.`,
		Example: `  provisioner library import ~/Books
  provisioner library import goodreads_library_export.csv`,
		Args: one("DIRECTORY or FILE.csv"),
		RunE: func(c *cobra.Command, args []string) error {
			src, err := source.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = src.Close() }()
			return withLibrary(c, func(ctx context.Context, _ *app, store *library.DataStore) error {
				return importBooks(ctx, c, store, src, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print what became of it as JSON")
	return c
}

func importBooks(ctx context.Context, c *cobra.Command, store *library.DataStore, src *source.Source, asJSON bool) error {
	if src.Size == 0 {
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "%s has neither a file named *.epub nor a row\n", src.Path)
	}
	bar := newBar(c, src.Size)
	_ = bar.RenderBlank()
	record := importRecord{Failures: []faultRecord{}, Warnings: []faultRecord{}}
	tell := func(f source.Find, fault string, into *[]faultRecord) {
		*into = append(*into, faultRecord{f.Name, fault})
		_ = bar.Clear()
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", shown(f.Name), shown(fault))
	}
	tally, err := src.Import(ctx, store, func(f source.Find, fate source.Fate) {
		if fate == source.Failed {
			tell(f, f.Err.Error(), &record.Failures)
		}
		for _, warning := range f.Warnings {
			if fate == source.Added {
				tell(f, warning, &record.Warnings)
			}
		}
		_ = bar.Add(1)
	})
	_ = bar.Clear()
	record.Added, record.There, record.Failed, record.Complete = tally.Added, tally.There, tally.Failed, err == nil
	return errors.Join(printImport(c, record, asJSON), endOfImport(ctx, tally, err))
}

// endOfImport returns the error of an import that came so far.
func endOfImport(ctx context.Context, tally source.Tally, err error) error {
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted: the same command goes on where this one was")
	case err == nil && tally.Failed > 0:
		return errSilent
	}
	return err
}

func printImport(c *cobra.Command, r importRecord, asJSON bool) error {
	if asJSON {
		return printJSON(c, r)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%d added, %d there before, %d failed\n", r.Added, r.There, r.Failed)
	return err
}

// manySteps are more than a person sees one by one.
const manySteps = 1000

// newBar returns a progress bar on the terminal that messages go to, an invisible one where they go elsewhere.
func newBar(c *cobra.Command, size int) *progressbar.ProgressBar {
	pause := time.Duration(0)
	if size > manySteps {
		pause = 100 * time.Millisecond
	}
	return progressbar.NewOptions(size,
		progressbar.OptionSetWriter(c.ErrOrStderr()), progressbar.OptionSetVisibility(terminal(c.ErrOrStderr()) != nil),
		progressbar.OptionSetDescription("importing"), progressbar.OptionShowCount(), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(pause), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false))
}
