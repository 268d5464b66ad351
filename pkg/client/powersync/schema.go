package powersync

import (
	"fmt"
	"strings"
)

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

// Table is one table. The app sees a view of its name, whose first column is id, a text. A name is of letters, digits and _.
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

func (s Schema) check() error {
	seen := map[string]bool{}
	for _, t := range s {
		if !isName(t.Name) || strings.HasPrefix(strings.ToLower(t.Name), "ps_") || seen[strings.ToLower(t.Name)] {
			return fmt.Errorf("table %q is named twice, or as no table may be", t.Name)
		}
		seen[strings.ToLower(t.Name)] = true
		if err := t.check(); err != nil {
			return err
		}
	}
	return nil
}

func (t Table) check() error {
	seen := map[string]bool{"id": true}
	for _, c := range t.Columns {
		name := strings.ToLower(c.Name)
		if !isName(c.Name) || seen[name] {
			return fmt.Errorf("column %q of table %q is named twice, or as no column may be", c.Name, t.Name)
		}
		if c.Type != Text && c.Type != Integer && c.Type != Real {
			return fmt.Errorf("column %q of table %q has the unknown type %q", c.Name, t.Name, c.Type)
		}
		seen[name] = true
	}
	return nil
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(strings.ToLower(s), "sqlite_")
}
