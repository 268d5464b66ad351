package powersync

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// layoutVersion is the user_version of a file with this layout, by SQLite's count 0 before it has one.
const layoutVersion = 1

// layout are the tables beside those of the rows. A row of a table t is kept in ps_data__t, as its id and a JSON object of its columns
// but for nulls; the app sees it through the view t.
const layout = `
-- What this device is, and how far it has come.
CREATE TABLE ps_device (
	client_id TEXT NOT NULL,
	epoch     INTEGER NOT NULL DEFAULT 0, -- counts how often all was cleared
	tx_id     INTEGER NOT NULL DEFAULT 0, -- of the last transaction of the app
	asks      INTEGER NOT NULL DEFAULT 0, -- counts how often somebody asked to be told when all is synced
	target    INTEGER NOT NULL DEFAULT 0, -- the write checkpoint that has all that was uploaded; the greatest integer while it is not known
	seen      INTEGER NOT NULL DEFAULT 0, -- the write checkpoint of the last checkpoint that was complete
	applied   INTEGER NOT NULL DEFAULT 0, -- the one of the last checkpoint that the app was shown
	synced_at INTEGER NOT NULL DEFAULT 0, -- when that was, in microseconds of Unix time
	views     TEXT NOT NULL DEFAULT ''    -- the statements that made the views
);
-- What the app did and the server has not.
CREATE TABLE ps_crud (
	op_id  INTEGER PRIMARY KEY AUTOINCREMENT,
	tx_id  INTEGER NOT NULL,
	kind   TEXT NOT NULL,
	type   TEXT NOT NULL,
	row_id TEXT NOT NULL,
	data   TEXT
);
CREATE INDEX ps_crud_tx ON ps_crud (tx_id);
-- Buckets as received: the sums are of the operations that ps_oplog holds, and of all others.
CREATE TABLE ps_buckets (
	id         INTEGER PRIMARY KEY,
	name       TEXT NOT NULL UNIQUE,
	priority   INTEGER NOT NULL DEFAULT 3,
	last_op    INTEGER NOT NULL DEFAULT 0,
	applied_op INTEGER NOT NULL DEFAULT 0, -- up to where the app was shown them
	held_sum   INTEGER NOT NULL DEFAULT 0,
	gone_sum   INTEGER NOT NULL DEFAULT 0,
	ops        INTEGER NOT NULL DEFAULT 0  -- received
);
-- The operations that rows are made of, one of each row and subkey in a bucket.
CREATE TABLE ps_oplog (
	bucket   INTEGER NOT NULL,
	op_id    INTEGER NOT NULL,
	type     TEXT NOT NULL,
	row_id   TEXT NOT NULL,
	subkey   TEXT NOT NULL,
	checksum INTEGER NOT NULL,
	data     TEXT NOT NULL
);
CREATE UNIQUE INDEX ps_oplog_row ON ps_oplog (type, row_id, bucket, subkey);
CREATE INDEX ps_oplog_op ON ps_oplog (bucket, op_id);
-- Rows that the next checkpoint makes anew: those with new operations (0), those that may be gone (1), those that the app changed (2).
CREATE TABLE ps_stale (
	type     TEXT NOT NULL,
	row_id   TEXT NOT NULL,
	why      INTEGER NOT NULL,
	priority INTEGER NOT NULL DEFAULT 0, -- of the last of the buckets that they may be gone from
	PRIMARY KEY (type, row_id)
) WITHOUT ROWID;
-- Counts the changes of each table, for those who watch.
CREATE TABLE ps_changes (
	type TEXT PRIMARY KEY,
	n    INTEGER NOT NULL
) WITHOUT ROWID;
`

// The names under which changes are told of that are of no table of the app.
const (
	queueChanges  = "ps_crud"
	deviceChanges = "ps_device"
	statusChanges = "ps_status" // in no table: only this process has a status
)

// unknown is the target while the server has not been asked for one: no checkpoint reaches it.
const unknown = 1<<63 - 1

// install brings the database in line with the schema.
func install(ctx context.Context, tx *sql.Tx, schema Schema, clientID string) error {
	if err := lay(ctx, tx, clientID); err != nil {
		return err
	}
	var statements []string
	for _, t := range schema {
		statements = append(statements, t.statements()...)
	}
	views := strings.Join(statements, ";\n")
	var have string
	if err := tx.QueryRowContext(ctx, `SELECT views FROM ps_device`).Scan(&have); err != nil || have == views {
		return err
	}
	if err := dropViews(ctx, tx); err != nil {
		return err
	}
	for _, statement := range slices.Concat(statements, remake(schema)) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%w in %s", err, statement)
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE ps_device SET views = ?`, views)
	return err
}

// lay makes the tables of the layout in a file that has none. A file of a later layout is an error, and stays as it is.
func lay(ctx context.Context, tx *sql.Tx, clientID string) error {
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil || version == layoutVersion {
		return err
	}
	if version > layoutVersion {
		return fmt.Errorf("a later version of this program has written the file: its layout is %d, and the latest known here is %d", version, layoutVersion)
	}
	if _, err := tx.ExecContext(ctx, layout+fmt.Sprintf(`PRAGMA user_version = %d`, layoutVersion)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO ps_device (client_id) VALUES (?)`, clientID)
	return err
}

// dropViews drops the views of an earlier schema, and with them their triggers. The rows stay, for it might come back.
func dropViews(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'view' AND 'ps_data__' || name IN (SELECT name FROM sqlite_schema)`)
	if err != nil {
		return err
	}
	names, err := texts(rows)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`DROP VIEW %q`, name)); err != nil {
			return err
		}
	}
	return nil
}

// remake has the next checkpoint make all rows anew: of a table that was in no earlier schema some may have been received.
func remake(schema Schema) []string {
	var statements []string
	for _, t := range schema {
		if !t.LocalOnly {
			statements = append(statements, fmt.Sprintf(`INSERT OR IGNORE INTO ps_stale (type, row_id, why) SELECT type, row_id, 0 FROM ps_oplog WHERE type = '%s'`, t.Name))
		}
	}
	return statements
}

// rows is the table of the rows of a view.
func (t Table) rows() string { return `"ps_data__` + t.Name + `"` }

// statements make the table of the rows, its view, and what writing to the view does.
func (t Table) statements() []string {
	columns := []string{"id"}
	for _, c := range t.Columns {
		columns = append(columns, fmt.Sprintf(`CAST(data ->> '%s' AS %s) AS %q`, c.Name, c.Type, c.Name))
	}
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (id TEXT PRIMARY KEY NOT NULL, data TEXT NOT NULL) WITHOUT ROWID`, t.rows()),
		fmt.Sprintf(`CREATE VIEW %q AS SELECT %s FROM %s`, t.Name, strings.Join(columns, ", "), t.rows()),
		t.trigger("INSERT",
			`SELECT RAISE(ABORT, 'an id must be a text that is not empty') WHERE typeof(NEW.id) <> 'text' OR NEW.id = ''`,
			t.finite(),
			fmt.Sprintf(`INSERT INTO %s (id, data) VALUES (NEW.id, %s)`, t.rows(), t.inserted()),
			`SELECT RAISE(IGNORE) WHERE changes() = 0`, // the row is there, and the app said OR IGNORE: nothing is to be queued
			t.queued(Put, "NEW", t.inserted())),
		t.trigger("UPDATE",
			`SELECT RAISE(ABORT, 'an id cannot be changed') WHERE NEW.id IS NOT OLD.id`,
			t.finite(),
			fmt.Sprintf(`UPDATE %s SET data = json_patch(data, %s) WHERE id = OLD.id`, t.rows(), t.updated()),
			t.queued(Patch, "OLD", t.updated())),
		t.trigger("DELETE",
			fmt.Sprintf(`DELETE FROM %s WHERE id = OLD.id`, t.rows()),
			t.queued(Delete, "OLD", "NULL")),
	}
}

// trigger is one for each row that an event changes in the view.
func (t Table) trigger(event string, statements ...string) string {
	if !t.LocalOnly {
		statements = append(statements, fmt.Sprintf(`INSERT INTO ps_stale (type, row_id, why) VALUES ('%s', %s.id, 2) ON CONFLICT (type, row_id) DO UPDATE SET why = 2`, t.Name, side(event)),
			fmt.Sprintf(`UPDATE ps_device SET target = %d WHERE target <> %[1]d`, unknown), changed(queueChanges))
	}
	statements = append(statements, changed(t.Name))
	return fmt.Sprintf("CREATE TRIGGER \"ps_%s_%s\" INSTEAD OF %s ON %q BEGIN\n%s;\nEND",
		strings.ToLower(event), t.Name, event, t.Name, strings.Join(statements, ";\n"))
}

func side(event string) string {
	if event == "INSERT" {
		return "NEW"
	}
	return "OLD"
}

// changed counts a change of a table.
func changed(name string) string {
	return fmt.Sprintf(`INSERT INTO ps_changes (type, n) VALUES ('%s', 1) ON CONFLICT (type) DO UPDATE SET n = n + 1`, name)
}

// queued adds a mutation to the queue, unless it changes nothing.
func (t Table) queued(kind Kind, side, data string) string {
	if t.LocalOnly {
		return "SELECT NULL"
	}
	return fmt.Sprintf(`INSERT INTO ps_crud (tx_id, kind, type, row_id, data)
SELECT tx_id, '%s', '%s', %s.id, data FROM (SELECT tx_id, %s AS data FROM ps_device) WHERE data IS NOT '{}' OR '%[1]s' = 'PUT'`, kind, t.Name, side, data)
}

// finite is a statement that fails on a number that JSON cannot hold: no server would take what is queued.
func (t Table) finite() string {
	infinite := "false"
	for _, c := range t.Columns {
		if c.Type != Text {
			infinite += fmt.Sprintf(" OR NEW.%q IN (9e999, -9e999)", c.Name)
		}
	}
	return "SELECT RAISE(ABORT, 'a number must be finite') WHERE " + infinite
}

// inserted is an expression for the JSON object of the columns of a new row but for nulls.
func (t Table) inserted() string {
	return t.object("WHERE v IS NOT NULL", func(string) string { return "NULL" })
}

// updated is an expression for the JSON object of the columns that change.
func (t Table) updated() string {
	return t.object("WHERE v IS NOT o", func(column string) string { return "OLD." + column })
}

// object is an expression for the JSON object of those columns for whose new value v and old value o the condition holds. It fails on
// a blob, which JSON cannot hold. Texts are cast, so that one that is the result of a JSON function stays a text.
func (t Table) object(condition string, old func(column string) string) string {
	if len(t.Columns) == 0 {
		return `'{}'`
	}
	values := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		column := fmt.Sprintf("%q", c.Name)
		value := "NEW." + column
		if c.Type == Text {
			value = fmt.Sprintf(`iif(typeof(%[1]s) = 'blob', %[1]s, CAST(%[1]s AS TEXT))`, value)
		}
		values[i] = fmt.Sprintf(`SELECT '%s' AS n, %s AS v, %s AS o`, c.Name, value, old(column))
	}
	return fmt.Sprintf("(SELECT json_group_object(n, v) FROM (%s) %s)", strings.Join(values, " UNION ALL "), condition)
}

// texts returns the rows of a query of one column, and closes them.
func texts(rows *sql.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
