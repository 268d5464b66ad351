package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/library"
	papyrusclient "github.com/provisioner/provisioner/pkg/client/papyrus"
	syncclient "github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/powersync"
)

// TestClientAndSDKEndEqual has one user with a device of our client and two of PowerSync's SDK, one with the stream in lines and one in
// BSON: they make books, change the same ones while none has a network, delete, and share 20,000. In the end all three have the same, in
// every column.
func TestClientAndSDKEndEqual(t *testing.T) {
	papyrus := start(t, "all", nil).URL("papyrus")
	owner := register(t, papyrus)
	node := powersync.Start(t)
	desktop := newGoDevice(t, papyrus, owner)
	laptop := sdkDevice{node.NewDevice("laptop", powersync.Options{Backend: papyrus, Encoding: "ndjson", Checkpoints: "legacy"}), owner.elsewhere(papyrus)}
	phone := sdkDevice{node.NewDevice("phone", powersync.Options{Backend: papyrus, Encoding: "bson", Checkpoints: "requests"}), owner.elsewhere(papyrus)}
	devices := []syncing{desktop, laptop, phone}
	for _, d := range devices {
		d.connect()
	}

	emma, susan, watsons := uuid.NewString(), uuid.NewString(), uuid.NewString()
	desktop.write(`INSERT INTO books (id, title, author, co_authors, isbn13, page_count, current_position, is_favorite, custom_metadata, added_at)
		VALUES (?, 'Emma 🔑', 'Zoë', '["Ada","Eve"]', '9783150099001', 201, 0.625, 1, '{"shelf":"blue"}', '2026-03-20T10:15:30.000Z')`, emma)
	laptop.write(`INSERT INTO books (id, title, subtitle, description, rating) VALUES (?, 'Lady Susan', '', 'a "quoted"\line'||char(10)||'and another', 5)`, susan)
	phone.write(`INSERT INTO books (id, title, page_count) VALUES (?, 'The Watsons', 'many')`, watsons)
	endEqual(t, devices, "Emma 🔑", "Lady Susan", "The Watsons")

	for _, d := range devices {
		d.disconnect()
	}
	desktop.write(`UPDATE books SET title = 'Emma of the desktop', author = 'Jane Austen' WHERE id = ?`, emma)
	laptop.write(`UPDATE books SET title = 'Emma of the laptop', rating = 4 WHERE id = ?`, emma)
	phone.write(`UPDATE books SET title = 'Emma of the phone', current_page = 99 WHERE id = ?`, emma)
	desktop.write(`UPDATE books SET title = 'kept by nobody' WHERE id = ?`, susan)
	laptop.write(`DELETE FROM books WHERE id = ?`, susan)
	phone.write(`UPDATE books SET is_favorite = 1 WHERE id = ?`, susan)
	phone.write(`DELETE FROM books WHERE id = ?`, watsons)
	desktop.write(`UPDATE books SET rating = 1 WHERE id = ?`, watsons)
	for i, d := range devices {
		d.write(`INSERT INTO books (id, title) VALUES (?, ?)`, uuid.NewString(), fmt.Sprintf("Made offline %d", i))
	}
	for _, d := range devices { // one after the other: the last to come has the last word on a title
		d.connect()
		d.awaitUploaded()
	}
	endEqual(t, devices, "Emma of the phone", "Made offline 0", "Made offline 1", "Made offline 2")
	var merged []struct {
		Author  string
		Rating  int
		Current int `json:"current_page"`
	}
	laptop.Query(&merged, `SELECT author, rating, current_page FROM books WHERE id = ?`, emma)
	if len(merged) != 1 || merged[0].Author != "Jane Austen" || merged[0].Rating != 4 || merged[0].Current != 99 {
		t.Errorf("of one book three devices changed other columns, and there is %+v", merged)
	}

	const many = 20_000
	for n := 0; n < many; n += 1000 {
		desktop.writeAll(1000, `INSERT INTO books (id, title, author, page_count, is_favorite) VALUES (?, ?, 'Jane Austen', ?, ?)`, func(i int) []any {
			return []any{uuid.NewString(), fmt.Sprintf("Z %05d", n+i), n + i, i % 2}
		})
	}
	desktop.write(`DELETE FROM books WHERE title LIKE 'Z %7'`)
	desktop.awaitUploaded()
	for _, d := range []sdkDevice{laptop, phone} {
		d.Await([]map[string]int{{"n": many - many/10 + 4}}, "SELECT count(*) AS n FROM books")
	}
	want := desktop.books()
	if len(want) != many-many/10+4 {
		t.Errorf("the desktop has %d books", len(want))
	}
	for name, d := range map[string]syncing{"laptop": laptop, "phone": phone} {
		if diff := cmp.Diff(want, d.books()); diff != "" {
			t.Errorf("the desktop and the %s differ (-desktop +%[1]s):\n%s", name, head(diff))
		}
	}
	for name, d := range map[string]sdkDevice{"laptop": laptop, "phone": phone} {
		if r := d.Report(); len(r.Errors) > 0 || len(r.Uploads) != 1 {
			t.Errorf("the %s has lived through %+v", name, r)
		}
	}
	if s := desktop.Status(); s.DownloadError != nil || s.UploadError != nil {
		t.Errorf("the desktop has lived through %+v", s)
	}
}

// head leaves of a long difference what a person reads.
func head(diff string) string { return diff[:min(len(diff), 4000)] }

// syncing is a device, whoever made it.
type syncing interface {
	connect()
	disconnect()
	write(statement string, args ...any)
	awaitUploaded()
	books() []book
	await(books []book)
}

// book is a row of the table books, all of whose columns are one JSON array.
type book struct {
	Row string `json:"row"`
}

// booksQuery has all columns, as json_array shows them: a number, a text of the same digits and null are three things.
func booksQuery() string {
	columns := []string{"id"}
	for _, c := range library.Schema()[0].Columns {
		columns = append(columns, c.Name)
	}
	return "SELECT json_array(" + strings.Join(columns, ", ") + `) AS "row" FROM books ORDER BY id`
}

// endEqual wants the devices to come to the same books in every column, with these titles in their order.
func endEqual(t *testing.T, devices []syncing, titles ...string) {
	t.Helper()
	for _, d := range devices {
		d.awaitUploaded()
	}
	desktop := devices[0].(*goDevice)
	desktop.awaitTitles(titles)
	want := desktop.books()
	for _, d := range devices[1:] {
		d.await(want)
	}
}

// sdkDevice is a device of the SDK and who is signed in on it.
type sdkDevice struct {
	*powersync.Device
	user *reader
}

func (d sdkDevice) connect()                            { connect(d.Device, d.user) }
func (d sdkDevice) disconnect()                         { d.Disconnect() }
func (d sdkDevice) write(statement string, args ...any) { write(d.Device, statement, args...) }
func (d sdkDevice) awaitUploaded()                      { d.AwaitUploaded() }
func (d sdkDevice) await(books []book)                  { d.Await(books, booksQuery()) }

func (d sdkDevice) books() []book {
	var out []book
	d.Query(&out, booksQuery())
	return out
}

// goDevice is a device of our client, with the connector of the commands.
type goDevice struct {
	*syncclient.DB
	t         testing.TB
	connector *library.Connector
}

func newGoDevice(t testing.TB, papyrus string, owner *reader) *goDevice {
	t.Helper()
	d, err := signInGoDevice(t.Context(), t.TempDir(), papyrus, owner.email, owner.password, syncclient.WithRetry(50*time.Millisecond, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	d.t = t
	return d
}

// signInGoDevice returns a device with its files in dir.
func signInGoDevice(ctx context.Context, dir, papyrus, email, password string, options ...syncclient.Option) (*goDevice, error) {
	tokens, err := papyrusclient.NewDeviceStore(dir, papyrus, nil)
	if err != nil {
		return nil, err
	}
	auth, err := papyrusclient.NewAuthRepository(papyrusclient.Config{APIBaseURL: papyrus}, tokens)
	if err != nil {
		return nil, err
	}
	user, err := auth.Login(ctx, email, secret.New(password))
	if err != nil {
		return nil, err
	}
	options = append(options, syncclient.WithContentChecksums())
	db, err := syncclient.Open(ctx, filepath.Join(dir, library.AccountFile), library.Schema(), options...)
	if err != nil {
		return nil, err
	}
	return &goDevice{DB: db, connector: library.NewConnector(auth, user.ID, func(library.Upload) {})}, nil
}

func (d *goDevice) connect()    { d.Connect(d.connector) }
func (d *goDevice) disconnect() { d.Disconnect() }

func (d *goDevice) write(statement string, args ...any) {
	d.t.Helper()
	d.writeAll(1, statement, func(int) []any { return args })
}

// writeAll runs a statement n times in one transaction.
func (d *goDevice) writeAll(n int, statement string, args func(i int) []any) {
	d.t.Helper()
	err := d.Write(d.t.Context(), func(tx *sql.Tx) error {
		prepared, err := tx.PrepareContext(d.t.Context(), statement)
		if err != nil {
			return err
		}
		defer func() { _ = prepared.Close() }()
		for i := range n {
			if _, err := prepared.ExecContext(d.t.Context(), args(i)...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *goDevice) awaitUploaded() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	if err := d.AwaitSynced(ctx); err != nil {
		d.t.Fatalf("%v; %+v", err, d.Status())
	}
}

func (d *goDevice) books() []book {
	d.t.Helper()
	var out []book
	for _, row := range d.query(booksQuery()) {
		out = append(out, book{row})
	}
	return out
}

// query returns the first column of the rows of a query.
func (d *goDevice) query(text string) []string {
	d.t.Helper()
	var out []string
	err := d.Read(d.t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(d.t.Context(), text)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				return err
			}
			out = append(out, row)
		}
		return rows.Err()
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *goDevice) await(books []book) {
	d.t.Helper()
	d.until("the books of the others", func() bool { return cmp.Equal(books, d.books()) })
}

func (d *goDevice) awaitTitles(titles []string) {
	d.t.Helper()
	d.until(fmt.Sprintf("%q", titles), func() bool { return cmp.Equal(titles, d.query(`SELECT title FROM books ORDER BY title`)) })
}

// until returns once something holds, which is asked again with each change, for a minute.
func (d *goDevice) until(what string, holds func() bool) {
	d.t.Helper()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	changes := d.Changes(d.t.Context())
	for !holds() {
		select {
		case <-changes:
		case <-patience.C:
			d.t.Fatalf("the desktop does not come to have %s; %+v; it has %q", what, d.Status(), d.query(`SELECT title FROM books ORDER BY title LIMIT 100`))
		}
	}
}
