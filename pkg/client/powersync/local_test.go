package powersync_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

var schema = powersync.Schema{
	{Name: "books", Columns: []powersync.Column{
		{"title", powersync.Text}, {"author", powersync.Text}, {"page_count", powersync.Integer}, {"current_position", powersync.Real},
	}},
	{Name: "notes", Columns: []powersync.Column{{"text", powersync.Text}}, LocalOnly: true},
}

// open returns a database in a directory that may hold it already.
func open(t *testing.T, dir string, options ...powersync.Option) *powersync.DB {
	t.Helper()
	db, err := powersync.Open(t.Context(), filepath.Join(dir, "test.db"), schema, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// run runs statements in one transaction.
func run(t *testing.T, db *powersync.DB, statements ...string) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for _, statement := range statements {
			if _, err := tx.ExecContext(t.Context(), statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// query returns the rows of a query of one column of JSON.
func query(t *testing.T, db *powersync.DB, text string) []string {
	t.Helper()
	all := []string{}
	err := db.Read(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(t.Context(), text)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				return err
			}
			all = append(all, row)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const allBooks = `SELECT json_array(id, title, author, page_count, current_position) FROM books ORDER BY id`

// queue takes what waits for its upload, as transactions of "KIND table id data".
func queue(t *testing.T, db *powersync.DB) [][]string {
	t.Helper()
	all := [][]string{}
	for {
		next, found, err := db.NextTransaction(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			return all
		}
		var mutations []string
		for _, m := range next.Mutations {
			mutations = append(mutations, string(m.Kind)+" "+m.Table+" "+m.ID+" "+string(m.Data))
		}
		all = append(all, mutations)
		if err := db.Complete(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQueue writes as an app does, and looks at what it sees and what is queued.
func TestQueue(t *testing.T) {
	db := open(t, t.TempDir())
	run(t, db,
		`INSERT INTO books (id, title, page_count) VALUES ('a', 'Emma', 474)`,
		`INSERT INTO books (id, title, author, current_position) VALUES ('b', json('["no", "JSON"]'), '', 1)`)
	run(t, db, `UPDATE books SET title = 'Emma!', author = NULL, page_count = 474 WHERE id = 'a'`)
	run(t, db, `UPDATE books SET title = title`)
	run(t, db, `UPDATE books SET page_count = NULL WHERE id = 'a'`, `DELETE FROM books WHERE id = 'b'`)
	run(t, db, `INSERT INTO notes (id, text) VALUES ('n', 'mine')`)
	run(t, db, `INSERT OR REPLACE INTO books (id, title) VALUES ('a', 'Anew'), ('c', NULL)`)
	run(t, db, `INSERT OR IGNORE INTO books (id, title) VALUES ('a', 'ignored'), ('d', 'D')`)

	if diff := cmp.Diff([]string{`["a","Anew",null,null,null]`, `["c",null,null,null,null]`, `["d","D",null,null,null]`}, query(t, db, allBooks)); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	want := [][]string{
		{`PUT books a {"title":"Emma","page_count":474}`, `PUT books b {"title":"[\"no\",\"JSON\"]","author":"","current_position":1.0}`},
		{`PATCH books a {"title":"Emma!"}`},
		{`PATCH books a {"page_count":null}`, `DELETE books b `},
		{`PUT books a {"title":"Anew"}`, `PUT books c {}`},
		{`PUT books d {"title":"D"}`},
	}
	if err := db.Complete(t.Context(), powersync.Transaction{}); err != nil {
		t.Errorf("no transaction is completed: %v", err)
	}
	if n, err := db.Queued(t.Context()); n != len(slices.Concat(want...)) || err != nil {
		t.Errorf("%d mutations are queued (%v), want %d", n, err, len(slices.Concat(want...)))
	}
	if diff := cmp.Diff(want, queue(t, db)); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

func TestRefusedWrites(t *testing.T) {
	db := open(t, t.TempDir())
	run(t, db, `INSERT INTO books (id, title) VALUES ('a', 'Emma')`)
	for name, statement := range map[string]string{
		"no id":                    `INSERT INTO books (title) VALUES ('Emma')`,
		"an empty id":              `INSERT INTO books (id) VALUES ('')`,
		"an id that is not a text": `INSERT INTO books (id) VALUES (1)`,
		"an id twice":              `INSERT INTO books (id) VALUES ('a')`,
		"another id":               `UPDATE books SET id = 'b'`,
		"a blob":                   `UPDATE books SET title = x'00ff'`,
		"an infinite number":       `UPDATE books SET current_position = -9e999`,
		"a new infinite number":    `INSERT INTO books (id, page_count) VALUES ('b', 9e999)`,
	} {
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), statement)
			return err
		})
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if got := queue(t, db); len(got) != 1 {
		t.Errorf("the queue is %q", got)
	}
}

// TestReopen opens a file again, as it was left, and with other tables.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	run(t, db, `INSERT INTO books (id, title) VALUES ('a', 'Emma')`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wider := powersync.Schema{{Name: "books", Columns: []powersync.Column{{"title", powersync.Text}, {"isbn", powersync.Text}}}}
	db, err := powersync.Open(t.Context(), filepath.Join(dir, "test.db"), wider)
	if err != nil {
		t.Fatal(err)
	}
	run(t, db, `UPDATE books SET isbn = '1'`)
	if diff := cmp.Diff([]string{`["Emma","1"]`}, query(t, db, `SELECT json_array(title, isbn) FROM books`)); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	if diff := cmp.Diff([]string{`["a","Emma",null,null,null]`}, query(t, db, allBooks)); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	if got := queue(t, db); len(got) != 2 {
		t.Errorf("the queue is %q", got)
	}
}

// TestTextThatIsNoUTF8 must not reach a server, which would refuse it for ever.
func TestTextThatIsNoUTF8(t *testing.T) {
	db := open(t, t.TempDir())
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO books (id, title) VALUES ('a', ?)`, "Em\xffma\x00!")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := db.NextTransaction(t.Context())
	if err != nil || !json.Valid(next.Mutations[0].Data) {
		t.Errorf("queued as %q (%v)", next.Mutations[0].Data, err)
	}
}

// TestChanges sees what this DB writes, and what another does, as another process would.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	db, other := open(t, dir), open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	books, notes := db.Changes(ctx, "books"), db.Changes(ctx, "notes")
	<-books
	<-notes
	run(t, db, `INSERT INTO books (id) VALUES ('a')`)
	<-books
	run(t, other, `INSERT INTO books (id) VALUES ('b')`, `INSERT INTO books (id) VALUES ('c')`)
	<-books
	run(t, other, `INSERT INTO notes (id) VALUES ('n')`)
	<-notes
	for table, want := range map[string]int64{"books": 3, "notes": 1, "none": 0} {
		if err := db.Read(ctx, func(tx *sql.Tx) error {
			got, err := powersync.ChangeCount(ctx, tx, table)
			if got != want {
				t.Errorf("%s was changed %d times, want %d", table, got, want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for range books { // at most one more
	}
	if diff := cmp.Diff([][]string{{"PUT books a {}"}, {"PUT books b {}", "PUT books c {}"}}, queue(t, db)); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

// expectNoTrace looks for texts in all files of a directory.
func expectNoTrace(t *testing.T, dir string, texts ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %q, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				t.Errorf("%s still has %q", filepath.Base(file), text)
			}
		}
	}
}

// TestClear leaves nothing in the file, and has other processes stop.
func TestClear(t *testing.T) {
	dir := t.TempDir()
	db, other := open(t, dir), open(t, dir)
	run(t, db, `INSERT INTO books (id, title) VALUES ('a', 'Emma')`, `INSERT INTO notes (id, text) VALUES ('n', 'mine')`)
	if err := db.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, db, `SELECT id FROM books UNION ALL SELECT id FROM notes`); len(got) != 0 {
		t.Errorf("rows %q are left", got)
	}
	expectNoTrace(t, dir, "Emma", "mine")
	if _, found, err := db.NextTransaction(t.Context()); found || err != nil {
		t.Errorf("the queue has something: %v", err)
	}
	if err := other.Write(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, powersync.ErrCleared) {
		t.Errorf("another process may write: %v", err)
	}
	run(t, db, `INSERT INTO books (id) VALUES ('b')`)
	if _, _, err := other.NextTransaction(t.Context()); !errors.Is(err, powersync.ErrCleared) {
		t.Errorf("another process may upload: %v", err)
	}
	next, _, err := db.NextTransaction(t.Context())
	if err != nil || next.ID < 2 || next.Mutations[0].OpID < 2 {
		t.Errorf("numbers begin again: %+v %v", next, err)
	}
}

// TestClearThatIsCutShort leaves nothing in the file, though nothing but the rows could be deleted.
func TestClearThatIsCutShort(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	db := open(t, dir, powersync.WithDriver(func(c driver.Connector) driver.Connector {
		return steppedConnector{c, func(statement string) {
			if statement == "VACUUM" {
				cancel()
			}
		}}
	}))
	run(t, db, `INSERT INTO books (id, title) VALUES ('a', 'Emma'), ('b', 'Emma')`)
	run(t, db, `UPDATE books SET title = 'Persuasion' WHERE id = 'b'`)
	if err := db.Clear(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("clear: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	expectNoTrace(t, dir, "Emma", "Persuasion")
}

// TestWriteWaitsNoLongerThanItsContext has one that does not return.
func TestWriteWaitsNoLongerThanItsContext(t *testing.T) {
	db := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(t.Context(), func(*sql.Tx) error {
		cancel()
		return db.Write(ctx, func(*sql.Tx) error { return errors.New("two write at once") })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
}

// TestFileOfALaterVersion leaves alone what it does not know: a program that was put back to an earlier version must not write there.
func TestFileOfALaterVersion(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	run(t, db, `INSERT INTO books (id, title) VALUES ('1', 'Emma')`, `PRAGMA user_version = 2`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "test.db")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := powersync.Open(t.Context(), path, schema); err == nil || !strings.Contains(err.Error(), "a later version of this program") {
		t.Errorf("Open() = %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}
