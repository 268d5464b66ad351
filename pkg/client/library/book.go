package library

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// Book is a book of the library: a row of the table books. The zero value of a field but Title stands for none.
type Book struct {
	ID              string         `json:"id"` // a UUID, given by DataStore.Add where it is ""
	Title           string         `json:"title"`
	Subtitle        string         `json:"subtitle,omitempty"`
	Author          string         `json:"author,omitempty"`
	CoAuthors       []string       `json:"co_authors,omitempty"`
	ISBN            string         `json:"isbn,omitempty"`   // 10 characters
	ISBN13          string         `json:"isbn13,omitempty"` // 13 digits
	Publisher       string         `json:"publisher,omitempty"`
	Language        string         `json:"language,omitempty"` // BCP 47: "en"
	PageCount       int64          `json:"page_count,omitempty"`
	Description     string         `json:"description,omitempty"`
	CoverImageURL   string         `json:"cover_image_url,omitempty"`
	ReadingStatus   ReadingStatus  `json:"reading_status,omitempty"`
	CurrentPage     int64          `json:"current_page,omitempty"`
	CurrentPosition float64        `json:"current_position,omitempty"` // 0 to 1
	CurrentCFI      string         `json:"current_cfi,omitempty"`      // a place in an EPUB
	IsFavorite      bool           `json:"is_favorite"`
	Rating          int64          `json:"rating,omitempty"`          // 1 to 5
	CustomMetadata  map[string]any `json:"custom_metadata,omitempty"` // numbers are json.Number
	AddedAt         time.Time      `json:"added_at,omitzero"`         // of the first upload, where a device gave none
	UpdatedAt       time.Time      `json:"updated_at,omitzero"`       // by the server; zero until the book has been synced
}

// ReadingStatus is how far somebody has come with a book.
type ReadingStatus string

// The statuses that apps know. Another device may have set others.
const (
	NotStarted ReadingStatus = "notStarted"
	Unread     ReadingStatus = "unread"
	InProgress ReadingStatus = "inProgress"
	Completed  ReadingStatus = "completed"
	Paused     ReadingStatus = "paused"
	Abandoned  ReadingStatus = "abandoned"
)

// ReadingStatuses are all that apps know.
var ReadingStatuses = []ReadingStatus{NotStarted, Unread, InProgress, Completed, Paused, Abandoned}

// ParseReadingStatus returns the status that apps know by a name, in capitals or not, and whether there is one.
func ParseReadingStatus(name string) (ReadingStatus, bool) {
	for _, s := range ReadingStatuses {
		if strings.EqualFold(string(s), name) {
			return s, true
		}
	}
	return "", false
}

// originKey is the member of the custom metadata that says what a book was imported from.
const originKey = "import"

// Origin is what the book was imported from, such as the digest of a file; "" where it was not.
func (b *Book) Origin() string {
	origin, _ := b.CustomMetadata[originKey].(string)
	return origin
}

// SetOrigin notes what the book is imported from.
func (b *Book) SetOrigin(origin string) {
	if b.CustomMetadata == nil {
		b.CustomMetadata = map[string]any{}
	}
	b.CustomMetadata[originKey] = origin
}

// column joins a column of the table to a field of a Book.
type column struct {
	name string
	typ  powersync.Type
	get  func(b *Book) any        // as SQL has it, nil for none
	set  func(b *Book, value any) // from what SQL gave; what it cannot be is none
}

// columns are those of a Book, in the order in which servers send them.
var columns = []column{
	textColumn("title", func(b *Book) *string { return &b.Title }),
	textColumn("subtitle", func(b *Book) *string { return &b.Subtitle }),
	textColumn("author", func(b *Book) *string { return &b.Author }),
	jsonColumn("co_authors", func(b *Book) *[]string { return &b.CoAuthors }, func(l []string) bool { return len(l) == 0 }),
	textColumn("isbn", func(b *Book) *string { return &b.ISBN }),
	textColumn("isbn13", func(b *Book) *string { return &b.ISBN13 }),
	textColumn("publisher", func(b *Book) *string { return &b.Publisher }),
	textColumn("language", func(b *Book) *string { return &b.Language }),
	integerColumn("page_count", func(b *Book) *int64 { return &b.PageCount }),
	textColumn("description", func(b *Book) *string { return &b.Description }),
	textColumn("cover_image_url", func(b *Book) *string { return &b.CoverImageURL }),
	textColumn("reading_status", func(b *Book) *ReadingStatus { return &b.ReadingStatus }),
	integerColumn("current_page", func(b *Book) *int64 { return &b.CurrentPage }),
	positionColumn("current_position"),
	textColumn("current_cfi", func(b *Book) *string { return &b.CurrentCFI }),
	favoriteColumn("is_favorite"),
	integerColumn("rating", func(b *Book) *int64 { return &b.Rating }),
	jsonColumn("custom_metadata", func(b *Book) *map[string]any { return &b.CustomMetadata }, func(m map[string]any) bool { return len(m) == 0 }),
	timeColumn("added_at", func(b *Book) *time.Time { return &b.AddedAt }),
	timeColumn("updated_at", func(b *Book) *time.Time { return &b.UpdatedAt }),
}

func textColumn[T ~string](name string, field func(*Book) *T) column {
	return column{
		name, powersync.Text,
		func(b *Book) any { return orNil(string(*field(b))) },
		func(b *Book, value any) { *field(b) = T(asText(value)) },
	}
}

func integerColumn(name string, field func(*Book) *int64) column {
	return column{
		name, powersync.Integer,
		func(b *Book) any { return orNil(*field(b)) },
		func(b *Book, value any) { *field(b) = asInteger(value) },
	}
}

func positionColumn(name string) column {
	return column{
		name, powersync.Real,
		func(b *Book) any { return orNil(b.CurrentPosition) },
		func(b *Book, value any) {
			b.CurrentPosition, _ = strconv.ParseFloat(asText(value), 64)
			if !isFinite(b.CurrentPosition) {
				b.CurrentPosition = 0
			}
		},
	}
}

// isFinite reports whether JSON can hold a number.
func isFinite(n float64) bool { return !math.IsNaN(n) && !math.IsInf(n, 0) }

func favoriteColumn(name string) column {
	return column{
		name, powersync.Integer,
		func(b *Book) any {
			if b.IsFavorite {
				return int64(1)
			}
			return int64(0)
		},
		func(b *Book, value any) { b.IsFavorite = asInteger(value) != 0 },
	}
}

// timeForm is how this device writes times; servers send the same with other fractions.
const timeForm = "2006-01-02T15:04:05.000000Z"

func timeColumn(name string, field func(*Book) *time.Time) column {
	return column{
		name, powersync.Text,
		func(b *Book) any {
			if field(b).IsZero() {
				return nil
			}
			return field(b).UTC().Format(timeForm)
		},
		func(b *Book, value any) {
			t, err := time.Parse(time.RFC3339, asText(value))
			if t = t.UTC(); err != nil || !isYear(t) {
				t = time.Time{}
			}
			*field(b) = t
		},
	}
}

// isYear reports whether the year of a time is one that RFC 3339 and servers can write, in UTC.
func isYear(t time.Time) bool { return t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }

// jsonColumn keeps a field as JSON text.
func jsonColumn[T any](name string, field func(*Book) *T, isNone func(T) bool) column {
	return column{
		name, powersync.Text,
		func(b *Book) any {
			if isNone(*field(b)) {
				return nil
			}
			text, err := json.Marshal(*field(b))
			if err != nil {
				return nil
			}
			return string(text)
		},
		func(b *Book, value any) {
			var v T
			d := json.NewDecoder(bytes.NewBufferString(asText(value)))
			d.UseNumber()
			if d.Decode(&v) == nil {
				*field(b) = v
			}
		},
	}
}

// checkJSON returns an error for what JSON cannot hold.
func checkJSON(v any) error {
	if _, err := json.Marshal(v); err != nil {
		return fmt.Errorf("custom metadata: %w", err)
	}
	return nil
}

// orNil returns v, nil for the zero value.
func orNil[T comparable](v T) any {
	if v == *new(T) {
		return nil
	}
	return v
}

func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	}
	return fmt.Sprint(value)
}

func asInteger(value any) int64 {
	switch v := value.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	}
	n, _ := strconv.ParseInt(asText(value), 10, 64)
	return n
}

// Schema is that of the app: the books, and for this device alone whose they are. It has the columns of the app's, and their types.
func Schema() powersync.Schema {
	books := powersync.Table{Name: "books", Columns: []powersync.Column{{Name: "book_id", Type: powersync.Text}, {Name: "owner_user_id", Type: powersync.Text}}}
	for _, c := range columns {
		books.Columns = append(books.Columns, powersync.Column{Name: c.name, Type: c.typ})
	}
	return powersync.Schema{books, owner}
}

// owner has one row at most: whose account database this is.
var owner = powersync.Table{Name: "owner", LocalOnly: true, Columns: []powersync.Column{{Name: "user_id", Type: powersync.Text}}}
