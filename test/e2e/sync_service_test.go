package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provisioner/provisioner/test/npm"
	"github.com/provisioner/provisioner/test/postgres"
)

const powerSyncConfig = "../../config/powersync/"

// TestPowerSyncServiceSendsTheSame fills a library with odd books and compares what our stream sends with what a PowerSync Service with
// our configuration would: its own rule engine is given the rows that its role reads, and its buckets, tables, ids and data are ours,
// byte for byte.
func TestPowerSyncServiceSendsTheSame(t *testing.T) {
	server := postgres.StartServer(t, "wal_level=logical")
	database := server.NewDatabase()
	replicas, urls := accountsOnPostgres(t, database)
	bootstrap(t, server, database, "source.sql")
	owner, other := streamUserOf(t, urls[0]), streamUserOf(t, urls[0])
	for i, book := range oddBooks() {
		owner.put(uuid.NewString(), i, book)
	}
	other.upload(2)
	byHand(t, database, owner.userID)
	replicas[0].Run("sync", "compact") // which also tells of what was written by hand

	got := owner.firstSync()
	want := ruled(t, database, owner.userID)
	if n := len(oddBooks()) + len(rowsByHand); len(got.Rows) != n {
		t.Errorf("%d rows are sent, want %d", len(got.Rows), n)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is sent (-the PowerSync Service, +our stream):\n%s", diff)
	}
}

// oddBooks are books with values that are easily spoiled on the way.
func oddBooks() []map[string]any {
	books := []map[string]any{
		{"title": "Plain"},
		{"title": "", "subtitle": nil, "author": ""},
		{"title": "quotes \" ' \\ / <b>&amp;</b>", "author": "controls \x01\b\t\n\f\r\x1f\x7f and \u2028\u2029\ufeff"},
		{"title": "NUL\x00byte", "subtitle": "📚 👩‍👩‍👧 🏳️‍🌈", "author": "العربية עברית 漢字 ſ İ ﬁ"},
		{"title": "combining e\u0301 and é, \U0010ffff"},
		{"title": "flags", "is_favorite": true, "rating": -5, "page_count": 2147483647, "current_page": -2147483648},
		{"title": "coerced", "is_favorite": 1, "rating": "4", "page_count": 12.0, "current_page": "nine"},
		{"title": "too big", "page_count": 9223372036854775807},
		{"title": "people", "co_authors": []string{"A", "é", `"q", \`, "📚", ""}},
		{"title": "people as text", "co_authors": `["A" ,"B"]`},
		{"title": "nobody", "co_authors": []string{}},
		{"title": "long", "description": strings.Repeat("Ünïcödé 📚 ", 5000)},
	}
	for _, position := range []any{0, 3.0, 0.1, -0.5, 1e21, 1e20, 123456789012345680, 1e-7, 5e-324, 1.7976931348623157e308, json.Number("-0.0"), "0.25"} {
		books = append(books, map[string]any{"title": fmt.Sprintf("at %v", position), "current_position": position})
	}
	for _, metadata := range []string{
		`{}`, `{"a": 1, "bb": 2, "A": 3, "é": 4, "": 5}`, `{"n": [1.0, 1.10, 1e3, 1E-7, -0, -0.0, 12345678901234567890, 0.1e1]}`,
		`{"nested": {"b": [true, false, null], "a": {"z": "", "y": []}}}`, `{"text": "\"\\/\b\f\n\r\t\u001f\u007f\u00e9\ud83d\udcda\u2028"}`,
		`{"twice": 1, "twice": 2}`, `{"spaces" :  [ 1 , 2 ]  }`,
	} {
		books = append(books,
			map[string]any{"title": metadata, "custom_metadata": metadata},
			map[string]any{"title": metadata + " as an object", "custom_metadata": json.RawMessage(metadata)})
	}
	for _, at := range []string{
		"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.678901+05:30", "2026-01-02 03:04:05", "1969-12-31T23:59:59.999999Z",
		"0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
	} {
		books = append(books, map[string]any{"title": at, "added_at": at})
	}
	return books
}

// rowsByHand are columns and values of rows that an operator wrote into Postgres, so that nobody brought them into form.
var rowsByHand = []string{
	`(title, custom_metadata) VALUES ('by hand', '{"z": 1.50, "a": [1e5, 1E-10], "long": "\u00e9"}')`,
	`(title, co_authors, is_favorite) VALUES (E'tab\there', '["a",  "b"]', true)`,
	`(title, current_position, page_count) VALUES ('', 100, 7)`,
	`(title, added_at, updated_at) VALUES ('old', '2001-02-03 04:05:06.789+01', '1999-12-31 23:59:59.1-08')`,
	`(title, current_position) VALUES ('third', 1.0/3)`,
}

func byHand(t *testing.T, database, ownerID string) {
	t.Helper()
	conn := connectAs(t, database, "")
	for _, row := range rowsByHand {
		row = strings.Replace(strings.Replace(row, "(", "(book_id, owner_user_id, ", 1), "VALUES (", "VALUES (gen_random_uuid(), '"+ownerID+"', ", 1)
		if _, err := conn.Exec(t.Context(), "INSERT INTO books "+row); err != nil {
			t.Fatal(err)
		}
	}
}

// sent is what somebody's devices are sent first.
type sent struct {
	Buckets []sentBucket `json:"buckets"`
	Rows    []sentRow    `json:"rows"` // by id
}

type sentBucket struct {
	Bucket   string `json:"bucket"`
	Priority int    `json:"priority"`
}

type sentRow struct {
	Bucket string `json:"bucket"`
	Table  string `json:"table"`
	ID     string `json:"id"`
	Data   string `json:"data"`
}

func (s sent) sorted() sent {
	slices.SortFunc(s.Rows, func(a, b sentRow) int { return strings.Compare(a.ID, b.ID) })
	return s
}

// streamUserOf registers somebody who may open streams.
func streamUserOf(t *testing.T, papyrus string) *streamUser {
	t.Helper()
	r := register(t, papyrus)
	token := r.call(http.MethodPost, papyrus+"/v1/auth/powersync-token", "").Member("token")
	keepPowerSyncToken(token)
	return &streamUser{reader: r, papyrus: papyrus, token: token}
}

// put uploads one book.
func (u *streamUser) put(id string, opID int, data map[string]any) {
	u.t.Helper()
	body, err := json.Marshal(map[string]any{"batch": []any{map[string]any{"op_id": opID, "op": "PUT", "type": "books", "id": id, "tx_id": opID, "data": data}}})
	if err != nil {
		u.t.Fatal(err)
	}
	if a := u.call(http.MethodPost, u.papyrus+"/v1/sync/powersync-upload", string(body)); a.Status != http.StatusOK || !strings.Contains(a.Body, `"applied_count":1`) {
		u.t.Errorf("upload %v: %v", data["title"], a)
	}
}

// firstSync returns what a new device of the user is sent before its first checkpoint is complete.
func (u *streamUser) firstSync() sent {
	u.t.Helper()
	resp := u.open("identity")
	defer resp.Body.Close()
	var out sent
	for lines := bufio.NewReader(resp.Body); ; {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			u.t.Fatal(err)
		}
		var line struct {
			Checkpoint *struct{ Buckets []sentBucket }
			Complete   any `json:"checkpoint_complete"`
			Data       struct {
				Bucket string
				Data   []struct {
					Op    string
					Table string `json:"object_type"`
					ID    string `json:"object_id"`
					Data  string
				}
			}
		}
		if err := json.Unmarshal(text, &line); err != nil {
			u.t.Fatalf("%v: %s", err, text)
		}
		if line.Complete != nil {
			return out.sorted()
		}
		if line.Checkpoint != nil {
			out.Buckets = line.Checkpoint.Buckets
		}
		for _, op := range line.Data.Data {
			out.Rows = append(out.Rows, sentRow{line.Data.Bucket, op.Table, op.ID, op.Data})
		}
	}
}

// replicated is what a PowerSync Service reads of a table, in the text form of replication.
type replicated struct {
	User    string             `json:"user"` // whose buckets are asked for
	Table   string             `json:"table"`
	Columns []replicatedColumn `json:"columns"`
	Rows    [][]*string        `json:"rows"`
}

type replicatedColumn struct {
	Name string `json:"name"`
	OID  uint32 `json:"oid"`
}

// ruled returns what PowerSync's rule engine makes, for a user, of what the service's role reads.
func ruled(t *testing.T, database, userID string) sent {
	t.Helper()
	read, err := json.Marshal(readAsService(t, database, userID))
	if err != nil {
		t.Fatal(err)
	}
	engine := npm.Command(t, "powersync", "rules.mjs", "../../config/powersync/sync-config.yaml")
	engine.Stdin = bytes.NewReader(read)
	var faults strings.Builder
	engine.Stderr = &faults
	out, err := engine.Output()
	if err != nil {
		t.Fatalf("%v: run `make deps` if a library is missing\n%s", err, faults.String())
	}
	var all sent
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	mine := func(row sentRow) bool { return strings.Contains(row.Bucket, userID) }
	if len(all.Rows) != 2+len(slices.DeleteFunc(slices.Clone(all.Rows), func(row sentRow) bool { return !mine(row) })) {
		t.Errorf("the engine sends %d rows, want two of somebody else's", len(all.Rows))
	}
	all.Rows = slices.DeleteFunc(all.Rows, func(row sentRow) bool { return !mine(row) })
	return all.sorted()
}

func readAsService(t *testing.T, database, userID string) replicated {
	t.Helper()
	conn := connectAs(t, database, "powersync_replication")
	rows, err := conn.Query(t.Context(), "SELECT * FROM books", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	read := replicated{User: userID, Table: "books"}
	for rows.Next() {
		var row []*string
		for _, value := range rows.RawValues() {
			if value == nil {
				row = append(row, nil)
				continue
			}
			text := string(value)
			row = append(row, &text)
		}
		read.Rows = append(read.Rows, row)
	}
	for _, field := range rows.FieldDescriptions() {
		read.Columns = append(read.Columns, replicatedColumn{field.Name, field.DataTypeOID})
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return read
}

// TestPowerSyncServiceSeesSyncedTablesOnly has the service's roles try to read everything.
func TestPowerSyncServiceSeesSyncedTablesOnly(t *testing.T) {
	server := postgres.StartServer(t, "wal_level=logical", "synchronous_commit=on") // what is decoded has been flushed
	database := server.NewDatabase()
	_, urls := accountsOnPostgres(t, database)
	for range 2 { // they may be run again
		bootstrap(t, server, database, "source.sql")
		bootstrap(t, server, database, "storage.sql")
	}
	storage := strings.Replace(database, "/test_1?", "/powersync_storage?", 1)

	replication := connectAs(t, database, "powersync_replication")
	if diff := cmp.Diff([]string{"books"}, readable(t, replication)); diff != "" {
		t.Errorf("the replication role reads (-want +got):\n%s", diff)
	}
	if seen := readable(t, connectAs(t, database, "powersync_storage")); len(seen) > 0 {
		t.Errorf("the storage role reads %v", seen)
	}
	if _, err := pgx.Connect(t.Context(), as(t, storage, "powersync_replication")); sqlState(err) != "42501" {
		t.Errorf("the replication role gets into the service's own database: %v", err)
	}
	if _, err := connectAs(t, storage, "powersync_storage").Exec(t.Context(), "CREATE SCHEMA powersync"); err != nil {
		t.Errorf("the storage role in its own database: %v", err)
	}

	const slot = "SELECT pg_create_logical_replication_slot('powersync_test', 'pgoutput')"
	if _, err := replication.Exec(t.Context(), slot); err != nil {
		t.Fatal(err)
	}
	reader := streamUserOf(t, urls[0])
	reader.put(uuid.NewString(), 1, map[string]any{"title": "replicated"})
	var changes []byte
	err := replication.QueryRow(t.Context(), `SELECT string_agg(data, '') FROM pg_logical_slot_get_binary_changes(
		'powersync_test', NULL, NULL, 'proto_version', '1', 'publication_names', 'powersync')`).Scan(&changes)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"replicated": true, reader.email: false, "argon2id": false, "user_books": false} {
		if bytes.Contains(changes, []byte(text)) != want {
			t.Errorf("the replicated changes of a registration and an upload hold %q: %t", text, !want)
		}
	}
}

// bootstrap runs one of the operator's files.
func bootstrap(t *testing.T, server *postgres.Server, database, file string) {
	t.Helper()
	if out, err := server.Run(database, powerSyncConfig+file); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, out)
	}
}

// connectAs opens a connection to a database in the name of a role, of the one in the URL for "".
func connectAs(t *testing.T, database, role string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), as(t, database, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) }) // the server ends anyway
	return conn
}

func as(t *testing.T, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	if role != "" {
		u.User = url.User(role)
	}
	return u.String()
}

// readable returns the tables and views of provisioner from which a connection can read, having tried all.
func readable(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) < 10 {
		t.Fatalf("%d tables, %v", len(names), err)
	}
	var seen []string
	for _, name := range names {
		switch _, err := conn.Exec(t.Context(), "SELECT * FROM "+name+" LIMIT 1"); {
		case err == nil:
			seen = append(seen, name)
		case sqlState(err) != "42501": // insufficient_privilege
			t.Fatal(err)
		}
	}
	return seen
}

func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
