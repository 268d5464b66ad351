package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// bookFlags are the columns of a book that are set by a text; an empty one is none.
var bookFlags = []struct {
	name, usage string
	set         func(b *library.Book, text string) error
}{
	{"subtitle", "subtitle", setText(func(b *library.Book) *string { return &b.Subtitle })},
	{"author", "author; --co-author for the others", setText(func(b *library.Book) *string { return &b.Author })},
	{"isbn", "ISBN, of 10 or 13 digits", setISBN},
	{"publisher", "publisher", setText(func(b *library.Book) *string { return &b.Publisher })},
	{"language", "language, such as en", setText(func(b *library.Book) *string { return &b.Language })},
	{"pages", "how many pages it has", setNumber(math.MaxInt32, func(b *library.Book) *int64 { return &b.PageCount })},
	{"description", "description", setText(func(b *library.Book) *string { return &b.Description })},
	{"cover", "`URL` of a picture", setCover},
	{"status", "reading status: " + statusNames(), setStatus},
	{"page", "the page that you are on", setNumber(math.MaxInt32, func(b *library.Book) *int64 { return &b.CurrentPage })},
	{"position", "how far you are, 0 to 1", setPosition},
	{"cfi", "the place in an EPUB where you are", setText(func(b *library.Book) *string { return &b.CurrentCFI })},
	{"rating", "rating, 1 to 5", setNumber(5, func(b *library.Book) *int64 { return &b.Rating })},
	{"metadata", "a JSON `object` of whatever else there is to say", setMetadata},
	{"added", "when it came into the library, such as 2026-01-02", setAdded},
}

func setText(of func(*library.Book) *string) func(*library.Book, string) error {
	return func(b *library.Book, text string) error {
		*of(b) = text
		return nil
	}
}

func setNumber(highest int64, of func(*library.Book) *int64) func(*library.Book, string) error {
	return func(b *library.Book, text string) error {
		if text == "" {
			text = "0"
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > highest {
			return fmt.Errorf("%q is no number of 0 to %d", text, highest)
		}
		*of(b) = n
		return nil
	}
}

// setISBN sets the ISBN of the text's length; an empty one takes both away.
func setISBN(b *library.Book, text string) error {
	if text == "" {
		b.ISBN, b.ISBN13 = "", ""
		return nil
	}
	number, ok := library.ParseISBN(text)
	if !ok {
		return fmt.Errorf("%q is no ISBN: it has 10 or 13 digits, of which the last checks the others", text)
	}
	if len(number) == 10 {
		b.ISBN = number
	} else {
		b.ISBN13 = number
	}
	return nil
}

func setCover(b *library.Book, text string) error {
	if u, err := url.Parse(text); text != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("%q is no http or https URL", text)
	}
	b.CoverImageURL = text
	return nil
}

func setStatus(b *library.Book, text string) error {
	status, ok := library.ParseReadingStatus(text)
	if !ok && text != "" {
		return fmt.Errorf("%q is none of %s", text, statusNames())
	}
	b.ReadingStatus = status
	return nil
}

func setPosition(b *library.Book, text string) error {
	if text == "" {
		text = "0"
	}
	p, err := strconv.ParseFloat(text, 64)
	if err != nil || !(p >= 0 && p <= 1) {
		return fmt.Errorf("%q is no number of 0 to 1", text)
	}
	b.CurrentPosition = p
	return nil
}

// setMetadata sets an object, which need not have what the book was imported from: that stays.
func setMetadata(b *library.Book, text string) error {
	origin := b.Origin()
	b.CustomMetadata = nil
	if text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&b.CustomMetadata); err != nil || !json.Valid([]byte(text)) {
			return errors.New("it is no JSON object")
		}
	}
	if origin != "" && b.Origin() == "" {
		b.SetOrigin(origin)
	}
	return nil
}

func setAdded(b *library.Book, text string) error {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			b.AddedAt = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%q is no time such as 2026-01-02 or 2026-01-02T15:04:05Z", text)
}

// bindBook gives c the flags of a book, and returns what sets those that were given.
func bindBook(c *cobra.Command) (set func(b *library.Book) error) {
	values := make([]string, len(bookFlags))
	for i, f := range bookFlags {
		c.Flags().StringVar(&values[i], f.name, "", f.usage)
	}
	var coAuthors []string
	c.Flags().StringArrayVar(&coAuthors, "co-author", nil, "another author; repeat for more")
	var favorite bool
	c.Flags().BoolVar(&favorite, "favorite", false, "whether it is a favorite")

	return func(b *library.Book) error {
		for i, f := range bookFlags {
			if !c.Flags().Changed(f.name) {
				continue
			}
			if err := f.set(b, values[i]); err != nil {
				return &usageError{fmt.Errorf("--%s: %w", f.name, err)}
			}
		}
		if c.Flags().Changed("co-author") {
			b.CoAuthors = slices.DeleteFunc(coAuthors, func(name string) bool { return name == "" })
		}
		if c.Flags().Changed("favorite") {
			b.IsFavorite = favorite
		}
		return nil
	}
}

func newLibraryAdd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "add TITLE",
		Short: "Add a book",
		Example: `  provisioner library add Middlemarch --author 'George Eliot' --pages 880
  provisioner library add 'Good Omens' --author 'Terry Pratchett' --co-author 'Neil Gaiman' --status completed --rating 5`,
		Args: one("TITLE"),
	}
	set := bindBook(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the book as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		b := library.Book{Title: args[0], ReadingStatus: library.NotStarted}
		if err := set(&b); err != nil {
			return err
		}
		return withLibrary(c, func(ctx context.Context, _ *app, store *library.DataStore) error {
			added, err := store.Add(ctx, b)
			if err != nil {
				return err
			}
			return sayBook(c, "added", added[0], asJSON)
		})
	}
	return c
}

func newLibraryEdit() *cobra.Command {
	var asJSON bool
	var title string
	c := &cobra.Command{
		Use:   "edit ID",
		Short: "Change a book: what you name, and nothing else",
		Long: `Change a book: what you name, and nothing else, so that another device may change the rest meanwhile. An empty text takes away what
is there.`,
		Example: `  provisioner library edit 3f1f --status inProgress --page 42
  provisioner library edit 3f1f --favorite=false --subtitle ''`,
		Args: one("ID"),
	}
	set := bindBook(c)
	c.Flags().StringVar(&title, "title", "", "title")
	c.Flags().BoolVar(&asJSON, "json", false, "print the book as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !namesColumn(c) {
			return &usageError{errors.New("name what to change, such as --page 42")}
		}
		if err := set(&library.Book{}); err != nil {
			return err
		}
		return withLibrary(c, func(ctx context.Context, _ *app, store *library.DataStore) error {
			found, err := store.Find(ctx, args[0])
			if err != nil {
				return sentence(err, args[0])
			}
			edited, err := store.Edit(ctx, found.ID, func(b *library.Book) {
				if c.Flags().Changed("title") {
					b.Title = title
				}
				_ = set(b) // what is wrong with the flags it has said of the book before
			})
			if err != nil {
				return sentence(err, args[0])
			}
			return sayBook(c, "changed", edited, asJSON)
		})
	}
	return c
}

// namesColumn reports whether a flag of a book was given.
func namesColumn(c *cobra.Command) (names bool) {
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { names = names || f.Changed && f.Name != "json" })
	return names
}

// one takes one argument.
func one(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("give one %s, not %d; one with blanks needs quotes", what, len(args))
		}
		return nil
	}
}

// sayBook says what was done to a book.
func sayBook(c *cobra.Command, done string, b library.Book, asJSON bool) error {
	if asJSON {
		return printJSON(c, b)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s %s\n", done, cell(b.ID), nameOf(b))
	return err
}

// nameOf returns a book's title and author for a sentence.
func nameOf(b library.Book) string {
	name := fmt.Sprintf("“%s”", cell(b.Title))
	if b.Author != "" {
		name += " by " + cell(b.Author)
	}
	return name
}

func newLibraryRemove() *cobra.Command {
	var sure, all bool
	c := &cobra.Command{
		Use:   "remove ID... | --all",
		Short: "Remove books, here and on all your devices",
		Long:  "Remove books, here and on all your devices. With --all in offline mode the guest library is deleted, so that its file holds nothing of it any more.",
		Example: `  provisioner library remove 3f1f
  provisioner library remove 3f1f 77ac --yes
  provisioner library remove --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if all != (len(args) == 0) {
				return errors.New("give an ID or --all")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return withLibrary(c, func(ctx context.Context, a *app, store *library.DataStore) error {
				books, err := booksToRemove(ctx, store, args)
				if err == nil && !sure && len(books) > 0 {
					err = ask(c, questionOf(books), "--yes")
				}
				if err != nil {
					return err
				}
				return a.remove(ctx, c, store, books, all)
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "remove without asking")
	c.Flags().BoolVar(&all, "all", false, "remove all books")
	return c
}

func questionOf(books []library.Book) string {
	if len(books) == 1 {
		return fmt.Sprintf("Remove %s?", nameOf(books[0]))
	}
	return fmt.Sprintf("Remove %d books?", len(books))
}

// booksToRemove returns the books of the ids, each once, all where there is none.
func booksToRemove(ctx context.Context, store *library.DataStore, ids []string) ([]library.Book, error) {
	if len(ids) == 0 {
		snapshot, err := store.Snapshot(ctx)
		return snapshot.Books, err
	}
	var books []library.Book
	for _, id := range ids {
		b, err := store.Find(ctx, id)
		if err != nil {
			return nil, sentence(err, id)
		}
		if !slices.ContainsFunc(books, func(other library.Book) bool { return other.ID == b.ID }) {
			books = append(books, b)
		}
	}
	return books, nil
}

func (a *app) remove(ctx context.Context, c *cobra.Command, store *library.DataStore, books []library.Book, all bool) error {
	ids := make([]string, len(books))
	for i, b := range books {
		ids[i] = b.ID
	}
	err := store.Remove(ctx, ids...)
	if err == nil && all && a.library.Kind() == library.Guest {
		err = a.library.DeleteGuest(ctx)
	}
	if err != nil {
		return err
	}
	for _, b := range books {
		if err := sayBook(c, "removed", b, false); err != nil {
			return err
		}
	}
	return nil
}
