package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// catalog is what Postgres knows of the tables of one schema. Definitions are SQL that names no schema.
type catalog struct {
	columns     []pgColumn
	constraints []pgConstraint
	indexes     []pgIndex
}

type pgColumn struct {
	table, name string
	kind        string // its type, as in "character varying(255)"
	notNull     bool
	value       string // its default, "" for none
	generated   bool   // the database gives it a value, as an identity or by an expression
}

type pgConstraint struct {
	table, name string
	kind        string // p (primary key), u (unique), c (check), f (foreign key) or x (exclusion)
	def         string // as in "FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE"
	columns     []string
}

// pgIndex is an index that belongs to no constraint.
type pgIndex struct {
	table, name string
	unique      bool
	def         string   // from the table on, as in "auth_sessions USING btree (user_id)"
	columns     []string // without those that are expressions
}

// same reports whether two indexes are the same but for their names.
func (i pgIndex) same(j pgIndex) bool { return i.unique == j.unique && i.def == j.def }

const (
	catalogColumns = `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
		CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END,
		a.attidentity <> '' OR a.attgenerated <> ''
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname, a.attnum`

	catalogConstraints = `SELECT c.relname, k.conname, k.contype::text, pg_get_constraintdef(k.oid),
		ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey) ORDER BY a.attnum)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
		WHERE c.relnamespace = $1::regnamespace AND k.contype IN ('p', 'u', 'c', 'f', 'x')
		ORDER BY k.contype = 'f', c.relname, k.conname`

	catalogIndexes = `SELECT c.relname, i.relname, x.indisunique,
		substr(pg_get_indexdef(i.oid, 0, true), strpos(pg_get_indexdef(i.oid, 0, true), ' ON ') + 4),
		ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (x.indkey) ORDER BY a.attnum)
		FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
		WHERE c.relnamespace = $1::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))
		ORDER BY c.relname, i.relname`
)

// readCatalog leaves schema the one of the transaction: definitions name no schema that is.
func readCatalog(ctx context.Context, tx *sql.Tx, schema string) (catalog, error) {
	var c catalog
	name := quote(schema)
	if err := execIn(ctx, tx, `SET LOCAL search_path TO `+name); err != nil {
		return c, err
	}
	var err error
	if c.columns, err = queryAll(ctx, tx, scanPgColumn, catalogColumns, name); err != nil {
		return c, err
	}
	if c.constraints, err = queryAll(ctx, tx, scanPgConstraint, catalogConstraints, name); err != nil {
		return c, err
	}
	c.indexes, err = queryAll(ctx, tx, scanPgIndex, catalogIndexes, name)
	return c, err
}

// quote returns a name as SQL has it.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// queryAll returns all rows of a query in a transaction.
func queryAll[T any](ctx context.Context, tx *sql.Tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scan)
}

func scanPgColumn(r row) (c pgColumn, err error) {
	err = r.Scan(&c.table, &c.name, &c.kind, &c.notNull, &c.value, &c.generated)
	return c, err
}

func scanPgConstraint(r row) (c pgConstraint, err error) {
	err = r.Scan(&c.table, &c.name, &c.kind, &c.def, namesInto(&c.columns))
	return c, err
}

func scanPgIndex(r row) (i pgIndex, err error) {
	err = r.Scan(&i.table, &i.name, &i.unique, &i.def, namesInto(&i.columns))
	return i, err
}

// namesInto scans a text[].
func namesInto(names *[]string) sql.Scanner { return pgtype.NewMap().SQLScanner(names) }

// tables returns the names of the tables, in their order.
func (c catalog) tables() []string {
	var names []string
	for _, column := range c.columns {
		names = append(names, column.table)
	}
	return slices.Compact(names)
}

func (c catalog) has(table string) bool {
	return slices.ContainsFunc(c.columns, func(column pgColumn) bool { return column.table == table })
}

// column returns a column of a table, if there is one of that name.
func (c catalog) column(table, name string) (pgColumn, bool) {
	i := slices.IndexFunc(c.columns, func(column pgColumn) bool { return column.table == table && column.name == name })
	if i < 0 {
		return pgColumn{table: table, name: name}, false
	}
	return c.columns[i], true
}

// hasAll reports whether a table has all of the columns.
func (c catalog) hasAll(table string, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, exists := c.column(table, name)
		return !exists
	})
}
