package cmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// selection is which books a command shows, and in what order.
type selection struct {
	status, author, sort string
	favorite, duplicates bool
	text                 string
}

// order is one by which books may be sorted.
type order struct {
	name    string
	compare func(a, b library.Book) int
}

// orders are all; the first is the default.
var orders = []order{
	{"title", func(_, _ library.Book) int { return 0 }}, // as they come
	{"author", func(a, b library.Book) int { return cmp.Compare(strings.ToLower(a.Author), strings.ToLower(b.Author)) }},
	{"added", func(a, b library.Book) int { return b.AddedAt.Compare(a.AddedAt) }},
	{"updated", func(a, b library.Book) int { return b.UpdatedAt.Compare(a.UpdatedAt) }},
	{"rating", func(a, b library.Book) int { return cmp.Compare(b.Rating, a.Rating) }},
}

func orderNames() string {
	names := make([]string, len(orders))
	for i, o := range orders {
		names[i] = o.name
	}
	return strings.Join(names, ", ")
}

func statusNames() string {
	names := make([]string, len(library.ReadingStatuses))
	for i, s := range library.ReadingStatuses {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func (s *selection) bind(c *cobra.Command) {
	c.Flags().StringVar(&s.status, "status", "", "books of a status: "+statusNames())
	c.Flags().StringVar(&s.author, "author", "", "books with an author whose name has this `text`")
	c.Flags().BoolVar(&s.favorite, "favorite", false, "favorites")
	c.Flags().BoolVar(&s.duplicates, "duplicates", false, "books that two devices imported before either had synced")
	c.Flags().StringVar(&s.sort, "sort", orders[0].name, "by "+orderNames()+"; times and ratings from the latest and highest")
}

// read takes the text to look for, and checks the rest.
func (s *selection) read(args []string) error {
	s.text = strings.ToLower(strings.Join(args, " "))
	if !slices.ContainsFunc(orders, func(o order) bool { return o.name == s.sort }) {
		return &usageError{fmt.Errorf("--sort is %s, not %q", orderNames(), s.sort)}
	}
	return nil
}

// of returns the selected books.
func (s *selection) of(books []library.Book) []library.Book {
	copies := map[string]int{}
	for _, b := range books {
		copies[b.Origin()]++
	}
	copies[""] = 0 // were not imported
	selected := slices.DeleteFunc(slices.Clone(books), func(b library.Book) bool {
		return !s.has(b) || s.duplicates && copies[b.Origin()] < 2
	})
	for _, o := range orders {
		if o.name == s.sort {
			slices.SortStableFunc(selected, o.compare)
		}
	}
	return selected
}

func (s *selection) has(b library.Book) bool {
	authors := strings.ToLower(b.Author + "\n" + strings.Join(b.CoAuthors, "\n"))
	words := strings.ToLower(strings.Join([]string{b.Title, b.Subtitle, b.Publisher, b.ISBN, b.ISBN13}, "\n")) + "\n" + authors
	return (s.status == "" || strings.EqualFold(s.status, string(b.ReadingStatus))) &&
		(!s.favorite || b.IsFavorite) && strings.Contains(authors, strings.ToLower(s.author)) && strings.Contains(words, s.text)
}

func newLibraryList() *cobra.Command {
	var asJSON bool
	var want selection
	c := &cobra.Command{
		Use:   "list [TEXT]",
		Short: "List books: all, or those with a text in title, authors, publisher or ISBN",
		Example: `  provisioner library list
  provisioner library list austen --favorite --sort rating
  provisioner library list --json | jq -r .title`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := want.read(args); err != nil {
				return err
			}
			return withLibrary(c, func(ctx context.Context, _ *app, store *library.DataStore) error {
				snapshot, err := store.Snapshot(ctx)
				if err != nil {
					return err
				}
				return printBooks(c, snapshot, want, asJSON)
			})
		},
	}
	want.bind(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

func printBooks(c *cobra.Command, snapshot library.Snapshot, want selection, asJSON bool) error {
	books := want.of(snapshot.Books)
	if !asJSON {
		return shelf(snapshot.ShortIDs(), books).writeTo(c.OutOrStdout())
	}
	for _, b := range books {
		if err := printLine(c, b); err != nil {
			return err
		}
	}
	return nil
}

// shelf is the table of books. Of their ids it has what tells them from all others of the library.
func shelf(short map[string]string, books []library.Book) *grid {
	g := &grid{widest: []int{36, 40, 24, 10, 11, 6, 8}}
	g.add("ID", "TITLE", "AUTHOR", "STATUS", "PAGE", "RATING", "FAVORITE")
	for _, b := range books {
		favorite := ""
		if b.IsFavorite {
			favorite = "yes"
		}
		g.add(short[b.ID], b.Title, b.Author, string(b.ReadingStatus), pagesOf(b), numberOrNone(b.Rating), favorite)
	}
	return g
}

// pagesOf returns how far somebody has come: 7/474.
func pagesOf(b library.Book) string {
	switch {
	case b.PageCount == 0:
		return numberOrNone(b.CurrentPage)
	case b.CurrentPage == 0:
		return "/" + numberOrNone(b.PageCount)
	}
	return numberOrNone(b.CurrentPage) + "/" + numberOrNone(b.PageCount)
}

func numberOrNone(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
