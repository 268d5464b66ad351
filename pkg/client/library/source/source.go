// Package source reads books out of what people have: a directory of EPUB files, or a table in a CSV file. Whatever these hold is taken
// for hostile: what is read of them is bounded, and one that is bad is a [Find] with its error, after which the next one comes. It does
// not know where books go; package library keeps them.
package source

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// Find is one file of a directory, or one row of a table.
type Find struct {
	Name     string // path in the directory, or "row 7": the header is row 1
	Digest   string // "sha256:" and the hex of the file, or of the row's fields; "" where it could not be read
	Book     library.Book
	Warnings []string // what the book had to be kept without
	Err      error    // why there is no book
}

// Source is where books are found.
type Source struct {
	Path  string
	Size  int // how many there are
	books func(ctx context.Context) iter.Seq[Find]
	close func() error
}

// Open looks at what is at path: a directory, in which and below which are files named *.epub, or a CSV file.
func Open(path string) (*Source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return openDirectory(path)
	case info.Mode().IsRegular() && strings.HasSuffix(strings.ToLower(path), extension):
		return nil, fmt.Errorf("%s is one book: give the directory that it is in", path)
	case info.Mode().IsRegular():
		return openTable(path)
	}
	return nil, fmt.Errorf("%s is neither a directory nor a file", path)
}

// Books yields what the source holds, always in the same order, until ctx ends.
func (s *Source) Books(ctx context.Context) iter.Seq[Find] { return s.books(ctx) }

// Close lets go of the files.
func (s *Source) Close() error { return s.close() }

// errNoTitle is of what has no title, by which alone a book could be found again.
var errNoTitle = errors.New("it has no title")

// identify sets the number of a book from text that is said to hold one, unless the book has one of that length already.
func (f *Find) identify(text string) {
	number, ok := library.ParseISBN(text)
	switch {
	case number == "":
	case !ok:
		f.warn("%q is no ISBN", number)
	case len(number) == 10 && f.Book.ISBN == "":
		f.Book.ISBN = number
	case len(number) == 13 && f.Book.ISBN13 == "":
		f.Book.ISBN13 = number
	}
}
