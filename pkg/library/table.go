// Package library keeps what users own and their devices sync: the tables, and the upload of the changes that devices queued while
// they were offline (contract: papyrus, section 6). It does not know how changes travel to devices; package syncstream does.
package library

import "slices"

// Kind is a kind of value that a column holds. Each has one form in Go, which is also that in which devices get it: nil is null.
type Kind int

// The kinds.
const (
	Text    Kind = iota // a string, valid UTF-8 without NUL
	Integer             // an int64 within 32 bits
	Real                // a float64, finite
	Boolean             // an int64, 0 or 1
	Time                // a string, UTC with microseconds: 2026-01-02T03:04:05.678900Z
	List                // a string: a JSON array of strings, in the form of Postgres's jsonb
	Object              // a string: a JSON object, in the form of Postgres's jsonb
)

// Table is a table whose rows devices sync: each belongs to one user, and to the bucket of that user and table.
type Table struct {
	Name    string   // in the database and on devices: "books"
	Key     string   // the column of its primary key, a UUID; "id" on devices
	Owner   string   // the column of the user whose row it is
	Columns []Column // all others, in the order in which devices get them
}

// Column is one that is neither key nor owner.
type Column struct {
	Name    string
	Kind    Kind
	MaxLen  int    // of Text, in code points; of List and Object, in bytes of JSON
	Default any    // of a new row that is given none, in the form of Kind; nil is null
	Blank   string // Text: what stands for null and "", where the column is not to be empty; "" where it may be
	Set     Setter // who sets it; the zero value is the device
}

// Setter is who sets a column.
type Setter int

// The setters.
const (
	ByDevice   Setter = iota
	ByCreation        // the device, and the server with the time of the first upload where the device does not
	ByServer          // the server, with the time of each change; what devices send is ignored without a warning
)

// Tables are all synced tables. docs/adding-a-table.md tells how to add one.
var Tables = []*Table{Books}

// ByName returns the table of a name, nil for an unknown one.
func ByName(name string) *Table {
	i := slices.IndexFunc(Tables, func(t *Table) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return Tables[i]
}

// Stream returns the name of the PowerSync stream of the table's rows.
func (t *Table) Stream() string { return "user_" + t.Name }

// Row holds the values of a row's columns, in the order of Table.Columns and in the form of their kinds.
type Row []any

// column returns where a column stands among the table's.
func (t *Table) column(name string) (int, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	return i, i >= 0
}
