package powersync

// Type is how the values of a column are read.
type Type string

// The types.
const (
	Text    Type = "TEXT"
	Integer Type = "INTEGER"
	Real    Type = "REAL"
)

// Schema lists the tables of an app.
type Schema []Table

// Table is one table. The app sees a view of its name, whose first column is id, a text.
type Table struct {
	Name      string
	Columns   []Column
	LocalOnly bool // neither queued nor synced
}

// Column is one besides id.
type Column struct {
	Name string
	Type Type
}
