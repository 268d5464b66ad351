package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/store/storetest"
	"github.com/provisioner/provisioner/pkg/token"
	"github.com/provisioner/provisioner/test/postgres"
)

// The ids in testdata/papyrus.
const (
	adoptedReader   = "a0000000-0000-4000-8000-000000000001"
	adoptedGuest    = "a0000000-0000-4000-8000-000000000002"
	adoptedDisabled = "a0000000-0000-4000-8000-000000000003"
	adoptedLive     = "c0000000-0000-4000-8000-000000000001"
)

// papyrus is a database of the Papyrus server.
type papyrus struct {
	*sql.DB
	url string
}

// newPapyrus makes a database from files of testdata/papyrus.
func newPapyrus(t testing.TB, files ...string) papyrus {
	t.Helper()
	address := postgres.NewDatabase(t)
	raw, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	p := papyrus{raw, address}
	p.load(t, files...)
	return p
}

func (p papyrus) load(t testing.TB, files ...string) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile("testdata/papyrus/" + file)
		if err != nil {
			t.Fatal(err)
		}
		p.mustExec(t, string(text))
	}
}

func (p papyrus) mustExec(t testing.TB, statements string) {
	t.Helper()
	if _, err := p.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

// mustList returns the rows of a query with one text column.
func (p papyrus) mustList(t testing.TB, query string) []string {
	t.Helper()
	rows, err := p.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (p papyrus) open(t testing.TB) *store.DB {
	t.Helper()
	return openOnly(t, store.Config{Engine: store.Postgres, URL: secret.New(p.url)})
}

func adoptOptions(t testing.TB) store.AdoptOptions {
	t.Helper()
	return store.AdoptOptions{Plan: "new", Audit: audit.New(t.Context(), time.Now(), audit.DatabaseAdopted, "")}
}

// adopt adopts a database and returns it open.
func (p papyrus) adopt(t testing.TB) *store.DB {
	t.Helper()
	db := p.open(t)
	if _, err := db.Adopt(t.Context(), adoptOptions(t)); err != nil {
		t.Fatal(err)
	}
	return db
}

// schemaOf returns what the catalogs say of the tables, a line for each column, constraint and index.
func (p papyrus) schemaOf(t testing.TB) []string {
	t.Helper()
	return p.mustList(t, `
		SELECT concat_ws(' ', 'column', table_name || '.' || column_name, data_type, character_maximum_length, 'null:', is_nullable,
			'default:', column_default, 'identity:', is_identity)
			FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
			FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT concat_ws(' ', 'schema', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
		UNION ALL SELECT concat_ws(' ', 'index invalid', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid
		ORDER BY 1`)
}

// rowsOf returns all rows of the tables of Papyrus.
func (p papyrus) rowsOf(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, table := range []string{"users", "password_credentials", "user_identities", "auth_sessions", "auth_exchange_codes", "email_action_tokens", "books"} {
		all = append(all, p.mustList(t, `SELECT t::text FROM `+table+` t ORDER BY 1`)...)
	}
	return all
}

// onlyTheirs are the parts of the schema that no other than Papyrus has.
var onlyTheirs = []string{
	"alembic_version", "reviews", "users.locale", "users.updated_at", "ix_users_last_login_at", "ix_user_identities_user_id", "books.shelf",
	"ix_books_owner_user_id", "_papyrus",
}

// otherBooks are what a version of Papyrus might have.
const otherBooks = `
	ALTER TABLE reviews DROP CONSTRAINT fk_reviews_book_id_books;
	ALTER TABLE books DROP CONSTRAINT fk_books_owner_user_id_users, ALTER book_id TYPE varchar(36), ALTER owner_user_id TYPE varchar(36),
		ALTER title DROP NOT NULL, ALTER is_favorite DROP NOT NULL, ALTER is_favorite DROP DEFAULT, ALTER co_authors TYPE json,
		ALTER custom_metadata TYPE json, ALTER added_at TYPE timestamp, ALTER added_at DROP NOT NULL, ALTER updated_at TYPE timestamp(3),
		ALTER page_count TYPE bigint, ALTER rating TYPE numeric(4, 1), ALTER current_position TYPE real, DROP current_cfi;
	ALTER INDEX ix_books_owner_user_id RENAME TO books_owner_idx;
	UPDATE books SET title = NULL, is_favorite = NULL, page_count = 5000000000 WHERE book_id LIKE '%2'`

func TestAdoptedSchemaIsTheMigratedOne(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string // changes of the fixture
	}{
		{"as Papyrus makes it", ""},
		{"without the tables that came later", `DROP TABLE user_identities, email_action_tokens, auth_exchange_codes`},
		{"with times of no zone, texts for ids and an enum", `
			ALTER TABLE auth_sessions ALTER session_id TYPE varchar(36), ALTER expires_at TYPE timestamp(0);
			CREATE TYPE client AS ENUM ('web', 'tablet');
			ALTER TABLE auth_sessions DROP CONSTRAINT ck_auth_sessions_client_type;
			ALTER TABLE auth_sessions ALTER client_type TYPE client USING client_type::client, ALTER client_type SET DEFAULT 'web'`},
		{"with the names of ours for other things", `
			ALTER INDEX ix_users_last_login_at RENAME TO users_created_at_idx;
			ALTER TABLE users RENAME CONSTRAINT uq_users_primary_email TO users_primary_email_key;
			ALTER INDEX ix_auth_sessions_user_id RENAME TO password_credentials_pkey`},
		{"with books of other types", otherBooks},
		{"without books", `DROP TABLE books CASCADE`},
		{"after a look at its migrations", `
			CREATE TABLE goose_db_version (id int, version_id bigint NOT NULL, is_applied boolean NOT NULL);
			INSERT INTO goose_db_version VALUES (1, 0, true)`},
		{"after an adoption that was killed", `CREATE SCHEMA provisioner_adoption CREATE TABLE users (x int)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fresh := newPapyrus(t)
			if err := fresh.open(t).Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			adopted := newPapyrus(t, "schema.sql", "rows.sql")
			adopted.mustExec(t, tt.before)
			if err := adopted.adopt(t).Migrate(t.Context()); err != nil {
				t.Errorf("Migrate of an adopted database: %v", err)
			}

			got := slices.DeleteFunc(adopted.schemaOf(t), func(line string) bool {
				return slices.ContainsFunc(onlyTheirs, func(part string) bool { return strings.Contains(line, part) })
			})
			if diff := cmp.Diff(fresh.schemaOf(t), got); diff != "" {
				t.Errorf("schema (-migrated +adopted):\n%s", diff)
			}
		})
	}
}

func TestAdoptKeepsWhatIsTheirs(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	p.mustExec(t, `INSERT INTO reviews SELECT book_id, 'Good.' FROM books`)
	p.adopt(t)
	want := []string{"A 7", "A 7", "B 1", "B 1"}
	if diff := cmp.Diff(want, p.mustList(t, `SELECT shelf FROM books JOIN reviews USING (book_id) ORDER BY 1`)); diff != "" {
		t.Errorf("their column and their reference (-want +got):\n%s", diff)
	}
	want = []string{"books"}
	if diff := cmp.Diff(want, p.mustList(t, `SELECT tablename FROM pg_publication_tables`)); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	want = []string{"de", "en", "en"}
	if diff := cmp.Diff(want, p.mustList(t, `SELECT locale FROM users ORDER BY 1`)); diff != "" {
		t.Errorf("their column (-want +got):\n%s", diff)
	}
}

func TestAdoptInAnotherSchema(t *testing.T) {
	p := newPapyrus(t)
	p.SetMaxOpenConns(1)
	p.mustExec(t, `CREATE SCHEMA accounts; SET search_path TO accounts`)
	p.load(t, "schema.sql", "rows.sql")
	p.url += "&search_path=accounts"
	if err := p.adopt(t).Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	const schemas = `SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`
	if diff := cmp.Diff([]string{"accounts"}, p.mustList(t, schemas)); diff != "" {
		t.Errorf("schemas with tables (-want +got):\n%s", diff)
	}
}

func TestAdoptByAnAdministrator(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	role := "papyrus_" + mustParse(t, p.url).Path[1:] // roles are the server's
	p.mustExec(t, `CREATE ROLE `+role)
	for _, table := range p.mustList(t, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`) {
		p.mustExec(t, `ALTER TABLE `+table+` OWNER TO `+role)
	}
	t.Cleanup(func() {
		if _, err := p.ExecContext(context.WithoutCancel(t.Context()), `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	p.adopt(t)
	if diff := cmp.Diff([]string{role}, p.mustList(t, `SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'`)); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestAdoptedRows(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	db := p.open(t)
	done, err := db.Adopt(t.Context(), adoptOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if done.Users != 3 || done.Sessions != 2 || len(done.Statements) == 0 {
		t.Errorf("adopted %d accounts and %d live sessions with %d statements", done.Users, done.Sessions, len(done.Statements))
	}
	if len(done.Remarks) != 2 || !strings.Contains(done.Remarks[0], "books.shelf") || !strings.Contains(done.Remarks[1], "users.locale") {
		t.Errorf("remarks: %q", done.Remarks)
	}

	users, err := db.Users(t.Context(), account.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, u := range users {
		got[u.ID] = u.Email + " " + u.Plan
		if u.Disabled() != (u.ID == adoptedDisabled) {
			t.Errorf("%s: disabled = %t", u.Email, u.Disabled())
		}
	}
	want := map[string]string{
		adoptedReader: "reader@example.com new", adoptedGuest: "guest@example.com new", adoptedDisabled: "disabled@example.com new",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if u, err := db.UserByIdentity(t.Context(), "google", "110169484474386276334"); err != nil || u.ID != adoptedGuest {
		t.Errorf("UserByIdentity() = %v, %v", u, err)
	}

	s, err := db.SessionByID(t.Context(), adoptedLive)
	if err != nil || s.ClientType != "unknown" || !s.LastSeenAt.Equal(time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)) ||
		s.EndsAt.Sub(s.CreatedAt) != 365*24*time.Hour {
		t.Errorf("session %+v, %v", s, err)
	}
	entries, err := db.AuditEntries(t.Context(), audit.Filter{Kind: audit.DatabaseAdopted})
	if err != nil || len(entries) != 1 || entries[0].Detail != "3 accounts, 2 live sessions" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}

func TestAdoptedPlan(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	o := adoptOptions(t)
	o.Plan = "reader's"
	if _, err := p.open(t).Adopt(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"reader's"}, p.mustList(t, `SELECT DISTINCT plan FROM users`)); diff != "" {
		t.Errorf("plans (-want +got):\n%s", diff)
	}
}

// accounts is a service over an adopted database.
func accounts(t testing.TB, db *store.DB) *account.Service {
	t.Helper()
	pem, err := token.NewKey(token.Access)
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.ParseKey(token.Access, "", pem)
	if err != nil {
		t.Fatal(err)
	}
	keys := token.NewKeystore(token.KeystoreConfig{Store: db, Use: token.Access, TTL: time.Hour, Base: &key, Now: time.Now})
	log := slog.New(slog.DiscardHandler)
	return account.New(account.Config{
		Store: db, Hasher: password.NewHasher(password.OWASP, 0), Policy: password.NewPolicy(false), Sessions: sessions(t, db),
		Tokens:   token.NewAccessIssuer(keys, "https://papyrus.example.com/auth/v1", time.Hour, time.Now),
		Refusals: audit.NewRefusals(db, log), Plan: "new", Now: time.Now, Log: log,
	})
}

func sessions(t testing.TB, db *store.DB) *session.Keeper {
	t.Helper()
	k, err := session.NewKeeper(session.Config{
		Store: db, Key: secret.New("a refresh token key of 32 bytes!"), Sliding: 30 * 24 * time.Hour, Adopted: true, Feed: db, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAdoptedPasswordIsRehashed(t *testing.T) {
	db := newPapyrus(t, "schema.sql", "rows.sql").adopt(t)
	service := accounts(t, db)
	right := secret.New("correct horse battery")
	if _, err := service.SignIn(t.Context(), "reader@example.com", secret.New("wrong"), session.Client{Type: "web"}); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("wrong password: %v", err)
	}
	for range 2 { // by the adopted hash, then by ours
		grant, err := service.SignIn(t.Context(), "Reader@example.com", right, session.Client{Type: "web"})
		if err != nil || grant.User.ID != adoptedReader {
			t.Fatalf("SignIn() = %v, %v", grant.User, err)
		}
	}
	if hash, err := db.PasswordHash(t.Context(), adoptedReader); err != nil || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("the hash is %.10s…, %v", hash, err)
	}
	if _, err := service.SignIn(t.Context(), "disabled@example.com", secret.New("another horse battery"), session.Client{}); !errors.Is(err, account.ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	if _, err := service.SignIn(t.Context(), "guest@example.com", right, session.Client{}); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("without a password: %v", err)
	}
}

func TestAdoptedResetTokenWorks(t *testing.T) {
	db := newPapyrus(t, "schema.sql", "rows.sql").adopt(t)
	service := accounts(t, db)
	chosen := secret.New("a new horse battery")
	if err := service.ResetPassword(t.Context(), "papyrus-reset-token-of-the-reader", chosen); err != nil {
		t.Fatal(err)
	}
	if _, err := service.SignIn(t.Context(), "reader@example.com", chosen, session.Client{}); err != nil {
		t.Error(err)
	}
}

func TestAdoptedSessionsGoOn(t *testing.T) {
	k := sessions(t, newPapyrus(t, "schema.sql", "rows.sql").adopt(t))
	refresh := func(presented string) string {
		t.Helper()
		_, next, err := k.Refresh(t.Context(), presented)
		if err != nil {
			t.Fatal(err)
		}
		return next.Reveal()
	}
	const live = "papyrus-live-refresh-token-of-the-reader"
	first := refresh(live)
	if again := refresh(live); again != first {
		t.Error("the adopted token has two successors")
	}
	second := refresh(first)
	if second == first {
		t.Error("our token has no successor")
	}
	for _, tt := range []struct{ name, presented string }{
		{"the adopted token, two steps later", live},
		{"the current one, after the reuse", second},
		{"a revoked one", "papyrus-revoked-refresh-token-of-reader"},
		{"an expired one", "papyrus-expired-refresh-token-of-reader"},
		{"an unknown one", "papyrus-unknown-refresh-token-of-reader"},
	} {
		if _, _, err := k.Refresh(t.Context(), tt.presented); !errors.Is(err, session.ErrInvalidToken) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	refresh("papyrus-live-refresh-token-of-the-guest") // older than a year: it ends when it would have, not before
}

func TestAdoptTwice(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	db := p.adopt(t)
	before := p.schemaOf(t)
	if _, err := db.Adopt(t.Context(), adoptOptions(t)); !errors.Is(err, store.ErrAdopted) {
		t.Errorf("Adopt() = %v, want ErrAdopted", err)
	}
	if diff := cmp.Diff(before, p.schemaOf(t)); diff != "" {
		t.Errorf("schema (-before +after):\n%s", diff)
	}

	migrated := newPapyrus(t).open(t)
	if err := migrated.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := migrated.Adopt(t.Context(), adoptOptions(t)); !errors.Is(err, store.ErrAdopted) {
		t.Errorf("Adopt() of one of our own = %v, want ErrAdopted", err)
	}
}

func TestDryAdoptionChangesNothing(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	schema, rows := p.schemaOf(t), p.rowsOf(t)
	db := p.open(t)
	o := adoptOptions(t)
	o.DryRun = true
	dry, err := db.Adopt(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(schema, rows...), append(p.schemaOf(t), p.rowsOf(t)...)); diff != "" {
		t.Errorf("a dry run (-before +after):\n%s", diff)
	}
	done, err := db.Adopt(t.Context(), adoptOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dry, done); diff != "" {
		t.Errorf("what it said (-dry +done):\n%s", diff)
	}
}

func TestObstacles(t *testing.T) {
	const user = `INSERT INTO users (user_id, display_name, primary_email, primary_email_verified, locale) VALUES `
	for _, tt := range []struct {
		name, before, want string
	}{
		{
			"e-mails that differ in case", user + `('a0000000-0000-4000-8000-000000000009', 'Twin', 'READER@example.com', true, 'en')`,
			adoptedReader + " and a0000000-0000-4000-8000-000000000009 have the same e-mail",
		},
		{"an empty e-mail", user + `('a0000000-0000-4000-8000-000000000009', 'Nobody', ' ', true, 'en')`, "1 rows of users have an empty e-mail"},
		{"an orphan", `ALTER TABLE auth_sessions DROP CONSTRAINT fk_auth_sessions_user_id_users;
			UPDATE auth_sessions SET user_id = gen_random_uuid() WHERE client_type = 'web'`, "2 rows of auth_sessions belong to no user"},
		{
			"a hash of another kind", `UPDATE password_credentials SET password_hash = 'pbkdf2_sha256$1$x$y' WHERE user_id = '` + adoptedReader + `'`,
			"1 rows of password_credentials have a hash that is neither",
		},
		{"one identity of two users", `ALTER TABLE user_identities DROP CONSTRAINT uq_user_identities_provider_provider_subject;
			UPDATE user_identities SET provider_subject = 'x'`, "b0000000-0000-4000-8000-000000000001 and b0000000-0000-4000-8000-000000000002 have the same provider"},
		{
			"no time of expiry", `ALTER TABLE auth_sessions ALTER expires_at DROP NOT NULL; UPDATE auth_sessions SET expires_at = NULL`,
			"4 rows of auth_sessions have no expires_at",
		},
		{"an id that is no UUID", `ALTER TABLE auth_sessions ALTER session_id TYPE text;
			UPDATE auth_sessions SET session_id = 'one' WHERE session_id LIKE '%1'`, "1 rows of auth_sessions have no UUID as their session_id"},
		{"a missing table", `DROP TABLE auth_sessions`, "there is no table auth_sessions"},
		{"a missing column", `ALTER TABLE auth_sessions DROP refresh_token_hash`, "the table auth_sessions has no column refresh_token_hash"},
		{"no accounts", `DROP TABLE users CASCADE`, "there is no table users in the schema \"public\""},
		{"a table of the same name", `CREATE TABLE events (id int)`, "a table events is in the way"},
		{
			"another primary key", `ALTER TABLE password_credentials DROP CONSTRAINT pk_password_credentials, ADD id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY`,
			"the table password_credentials has another primary key",
		},
		{"a view", `CREATE VIEW newsletter AS SELECT primary_email FROM users`, "users.primary_email becomes text, but newsletter reads it"},
		{"a foreign key on what changes", `ALTER TABLE auth_sessions ALTER session_id TYPE varchar(36);
			CREATE TABLE pushes (session_id varchar(36) CONSTRAINT fk_pushes REFERENCES auth_sessions)`, "pushes (fk_pushes) refers to it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPapyrus(t, "schema.sql", "rows.sql")
			p.mustExec(t, tt.before)
			schema := p.schemaOf(t)
			_, err := p.open(t).Adopt(t.Context(), adoptOptions(t))
			found, ok := errors.AsType[*store.AdoptError](err)
			if !ok || !slices.ContainsFunc(found.Obstacles, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("Adopt() = %v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(schema, p.schemaOf(t)); diff != "" {
				t.Errorf("schema (-before +after):\n%s", diff)
			}
		})
	}
}

func TestObstaclesAreToldTogether(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	p.mustExec(t, `UPDATE password_credentials SET password_hash = 'md5'; CREATE TABLE nonces (id int); CREATE VIEW v AS SELECT primary_email FROM users`)
	_, err := p.open(t).Adopt(t.Context(), adoptOptions(t))
	if found, ok := errors.AsType[*store.AdoptError](err); !ok || len(found.Obstacles) != 3 {
		t.Errorf("Adopt() = %v, want three obstacles", err)
	}
}

func TestAdoptionRemarks(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	p.mustExec(t, `UPDATE auth_sessions SET refresh_token_hash = 'opaque' WHERE session_id = '`+adoptedLive+`';
		CREATE TABLE shelves (owner_user_id uuid CONSTRAINT fk_shelves REFERENCES users)`)
	done, err := p.open(t).Adopt(t.Context(), adoptOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the column books.shelf is empty in new rows: provisioner does not know it",
		"the column users.locale is empty in new rows: provisioner does not know it",
		"1 sessions have a refresh_token_hash that is no SHA-256 in hex: their users have to sign in again",
		"shelves (fk_shelves) does not let an account be deleted that has rows there: make its foreign key ON DELETE CASCADE",
	}
	if diff := cmp.Diff(want, done.Remarks); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
}

func TestAdoptWhileInUse(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	tx, err := p.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `SELECT FROM users`); err != nil {
		t.Fatal(err)
	}
	p.url += "&lock_timeout=100"
	if _, err := p.open(t).Adopt(t.Context(), adoptOptions(t)); err == nil || !strings.Contains(err.Error(), "stop the Papyrus server") {
		t.Errorf("Adopt() = %v", err)
	}
}

func TestMigrateRefusesPapyrus(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	schema := p.schemaOf(t)
	if err := p.open(t).Migrate(t.Context()); !errors.Is(err, store.ErrNotAdopted) {
		t.Errorf("Migrate() = %v, want ErrNotAdopted", err)
	}
	if diff := cmp.Diff(schema, p.schemaOf(t)); diff != "" {
		t.Errorf("schema (-before +after):\n%s", diff)
	}
}

// TestMigrateWaitsForTheAdoption holds an adoption at its first table until a service has started beside it.
func TestMigrateWaitsForTheAdoption(t *testing.T) {
	p := newPapyrus(t, "schema.sql", "rows.sql")
	holder, err := p.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.ExecContext(t.Context(), `LOCK TABLE users`); err != nil {
		t.Fatal(err)
	}
	waiting := func(query string) func(context.Context) error {
		return func(ctx context.Context) error {
			var n int
			if err := p.QueryRowContext(ctx, query).Scan(&n); err != nil {
				return err
			}
			if n == 0 {
				return errors.New("nobody waits: " + query)
			}
			return nil
		}
	}

	adopter, service := p.open(t), p.open(t)
	adopted, migrated := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := adopter.Adopt(t.Context(), adoptOptions(t))
		adopted <- err
	}()
	eventually(t, waiting(`SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'`))
	go func() { migrated <- service.Migrate(t.Context()) }()
	eventually(t, waiting(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND state = 'idle'
		AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')`))
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-adopted, <-migrated); err != nil {
		t.Error(err)
	}
}

func TestAdoptNeedsPostgres(t *testing.T) {
	db := open(t, engines["SQLite"](t))
	if _, err := db.Adopt(t.Context(), adoptOptions(t)); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("Adopt() = %v", err)
	}
}

// TestConformanceOfAdoptedDatabases runs the suite on copies of one adopted database.
func TestConformanceOfAdoptedDatabases(t *testing.T) {
	t.Parallel()
	server, p := newPapyrus(t), newPapyrus(t, "schema.sql")
	db, err := store.Open(t.Context(), store.Config{Engine: store.Postgres, URL: secret.New(p.url)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Adopt(t.Context(), store.AdoptOptions{Plan: "new"}); err != nil { // without an entry in the audit log
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), p.Close()); err != nil { // a database in use cannot be copied
		t.Fatal(err)
	}

	copies := 0
	storetest.Run(t, func(t *testing.T) *store.DB {
		t.Helper()
		copies++
		original := mustParse(t, p.url)
		name := fmt.Sprintf("%s_copy_%d", original.Path[1:], copies)
		server.mustExec(t, `CREATE DATABASE `+name+` TEMPLATE `+original.Path[1:])
		t.Cleanup(func() {
			if _, err := server.ExecContext(context.WithoutCancel(t.Context()), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
				t.Error(err)
			}
		})
		original.Path = "/" + name
		return papyrus{url: original.String()}.open(t)
	})
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
