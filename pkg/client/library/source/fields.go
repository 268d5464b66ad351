package source

import (
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// field sets what a column says of a book; its text is not empty.
type field func(f *Find, text string)

// fields are the columns that are known, by their names in lower case with blanks between the words: our own, which are those of the
// books table, and those of exports from Goodreads and Calibre.
var fields = map[string]field{
	"title":    textField(func(b *library.Book) *string { return &b.Title }),
	"subtitle": textField(func(b *library.Book) *string { return &b.Subtitle }),

	"author":             textField(func(b *library.Book) *string { return &b.Author }),
	"authors":            authors,   // Calibre
	"co authors":         coAuthors, //
	"additional authors": coAuthors, // Goodreads

	"isbn":        (*Find).identify,
	"isbn13":      (*Find).identify,
	"identifiers": identifiers, // Calibre

	"publisher": textField(func(b *library.Book) *string { return &b.Publisher }),
	"language":  textField(func(b *library.Book) *string { return &b.Language }),
	"languages": language, // Calibre

	"page count":      numberField("page count", func(b *library.Book) *int64 { return &b.PageCount }),
	"pages":           numberField("page count", func(b *library.Book) *int64 { return &b.PageCount }),
	"number of pages": numberField("page count", func(b *library.Book) *int64 { return &b.PageCount }), // Goodreads
	"current page":    numberField("current page", func(b *library.Book) *int64 { return &b.CurrentPage }),

	"description":     description,
	"comments":        description, // Calibre
	"cover image url": cover,

	"reading status":  status,
	"status":          status,
	"exclusive shelf": status, // Goodreads

	"rating":      rating,
	"my rating":   rating, // Goodreads
	"is favorite": favorite,
	"favorite":    favorite,

	"added at":   addedAt,
	"date added": addedAt, // Goodreads
	"timestamp":  addedAt, // Calibre
}

// fieldsOf returns what each column of a header sets. A name may have capitals, and underscores or hyphens for blanks.
func fieldsOf(header []string) ([]field, error) {
	if len(header) > maxColumns {
		return nil, errors.New("its header has too many columns")
	}
	found := make([]field, len(header))
	hasTitle := false
	for i, name := range header {
		name = strings.ToLower(strings.Join(strings.FieldsFunc(unformula(name), func(r rune) bool { return r == '_' || r == '-' || r == ' ' }), " "))
		found[i] = fields[name]
		hasTitle = hasTitle || name == "title"
	}
	if !hasTitle {
		return nil, errors.New("its first row names no column title")
	}
	return found, nil
}

// textField takes a text of one line. One of several may well be the rows up to the next quote, where one is missing.
func textField(of func(*library.Book) *string) field {
	return func(f *Find, text string) {
		if strings.Contains(text, "\n") {
			f.warn("%q has several lines: is a quote missing?", text)
		}
		*of(&f.Book) = line(text)
	}
}

// numberField takes a whole number of 32 bits that is not negative; 0 is none.
func numberField(name string, of func(*library.Book) *int64) field {
	return func(f *Find, text string) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n < 0 || n > math.MaxInt32 || n != math.Trunc(n) {
			f.warn(name+" %q is no number", text)
			return
		}
		*of(&f.Book) = int64(n)
	}
}

// authors takes names in the order of the book's, as Calibre writes them: with "&" between them, or commas.
func authors(f *Find, text string) {
	between := ","
	if strings.Contains(text, " & ") {
		between = " & "
	}
	if names := list(text, between); len(names) > 0 {
		f.Book.Author, f.Book.CoAuthors = names[0], append(names[1:], f.Book.CoAuthors...)
	}
}

// coAuthors takes names with semicolons or commas between them, or a JSON list.
func coAuthors(f *Find, text string) {
	var names []string
	if json.Unmarshal([]byte(text), &names) == nil {
		text = strings.Join(names, ";")
	}
	between := ","
	if strings.Contains(text, ";") || len(names) == 1 {
		between = ";"
	}
	f.Book.CoAuthors = append(f.Book.CoAuthors, list(text, between)...)
}

// list returns what is between the separators, but for what is empty.
func list(text, between string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, between) {
		if part = line(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// identifiers takes the ISBN of "isbn:9780140328721,goodreads:6310".
func identifiers(f *Find, text string) {
	for part := range strings.SplitSeq(text, ",") {
		if number, ok := strings.CutPrefix(strings.TrimSpace(part), "isbn:"); ok {
			f.identify(number)
		}
	}
}

func language(f *Find, text string) {
	if names := list(text, ","); len(names) > 0 {
		f.Book.Language = names[0]
	}
}

func description(f *Find, text string) { f.Book.Description = plain(text) }

func cover(f *Find, text string) {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" && u.Scheme != "http" {
		f.warn("cover %q is no URL", text)
		return
	}
	f.Book.CoverImageURL = line(text)
}

// shelves are those that every user of Goodreads has.
var shelves = map[string]library.ReadingStatus{
	"to-read": library.NotStarted, "currently-reading": library.InProgress, "read": library.Completed,
}

// status takes a status by its name, or a shelf; people name shelves as they like, which are no statuses.
func status(f *Find, text string) {
	if s, ok := shelves[text]; ok {
		f.Book.ReadingStatus = s
		return
	}
	s, ok := library.ParseReadingStatus(text)
	if !ok {
		f.warn("status %q is none that apps know", text)
		return
	}
	f.Book.ReadingStatus = s
}

// rating takes stars, 1 to 5; 0 is none. Calibre has halves.
func rating(f *Find, text string) {
	n, err := strconv.ParseFloat(text, 64)
	stars := math.Round(n)
	switch {
	case err != nil || !(n >= 0 && n <= 5): // so is not a number
		f.warn("rating %q is not 0 to 5", text)
		return
	case n != stars:
		f.warn("rating %q is taken for %d", text, int(stars))
	}
	f.Book.Rating = int64(stars)
}

func favorite(f *Find, text string) {
	switch strings.ToLower(text) {
	case "1", "true", "yes":
		f.Book.IsFavorite = true
	case "0", "false", "no":
	default:
		f.warn("favorite %q is neither yes nor no", text)
	}
}

// timeForms are those of our own exports, of Calibre and of Goodreads; one without a zone is in UTC.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly, "2006/01/02", "2006/1/2"}

func addedAt(f *Find, text string) {
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			f.Book.AddedAt = t.UTC()
			return
		}
	}
	f.warn("the time %q is in no form that is known", text)
}
