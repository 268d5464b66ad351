package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/test/postgres"
)

// TestMigrationsOnlyAdd holds every step after the first to what replicas of the version before bear: it adds, and on Postgres it
// does not read a growing table under a lock that keeps others from writing.
func TestMigrationsOnlyAdd(t *testing.T) {
	for _, engine := range []Engine{SQLite, Postgres} {
		dir := path.Join("migrations", string(engine))
		files, err := fs.ReadDir(migrations, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files[1:] {
			text, err := fs.ReadFile(migrations, path.Join(dir, file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range notAdditions(engine, string(text)) {
				t.Errorf("%s of %s: %s", file.Name(), engine, fault)
			}
		}
	}
}

func TestNotAdditions(t *testing.T) {
	for _, row := range []struct {
		name      string
		engine    Engine
		migration string
		faults    int
	}{
		{"a table with its index", Postgres, "CREATE TABLE a (b text NOT NULL UNIQUE); CREATE UNIQUE INDEX c ON a (b);", 0},
		{"columns that old inserts may leave out", Postgres, "ALTER TABLE a ADD COLUMN b text; ALTER TABLE a ADD COLUMN c int NOT NULL DEFAULT 0;", 0},
		{"a column that they may not", Postgres, "ALTER TABLE a ADD COLUMN b text NOT NULL;", 1},
		{"a column that refers", Postgres, "ALTER TABLE a ADD COLUMN b uuid REFERENCES users;", 1},
		{"an index that locks", Postgres, "CREATE INDEX c ON a (b);", 1},
		{"the same on SQLite", SQLite, "CREATE INDEX c ON a (b);", 0},
		{"an index that refuses old inserts", SQLite, "CREATE UNIQUE INDEX c ON a (b);", 1},
		{
			"an index built beside writes", Postgres,
			"-- +goose NO TRANSACTION\nDROP INDEX CONCURRENTLY IF EXISTS c;\nCREATE INDEX CONCURRENTLY c ON a (b);", 0,
		},
		{"one in a transaction", Postgres, "CREATE INDEX CONCURRENTLY c ON a (b);", 1},
		{"an index that goes", Postgres, "-- +goose NO TRANSACTION\nDROP INDEX CONCURRENTLY IF EXISTS c;", 1},
		{"anything else", SQLite, "DROP TABLE a; UPDATE a SET b = 1; ALTER TABLE a RENAME TO b;", 3},
	} {
		if got := notAdditions(row.engine, row.migration); len(got) != row.faults {
			t.Errorf("%s: %q, want %d", row.name, got, row.faults)
		}
	}
}

var (
	comment     = regexp.MustCompile(`(?m)--.*$`)
	createTable = regexp.MustCompile(`^CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(`)
	// A block that does nothing without a table, which the migration makes unless another server has, and that changes no other.
	changeTheirs = regexp.MustCompile(`(?s)-- \+goose StatementBegin\nDO \$\$.*?` +
		`IF NOT EXISTS \(SELECT FROM pg_tables WHERE schemaname = current_schema\(\) AND tablename = '(\w+)'\) THEN\s+RETURN;.*?-- \+goose StatementEnd`)
	changedTable = regexp.MustCompile(`(?:ALTER TABLE|UPDATE|DELETE FROM) (\w+)`)
	createIndex  = regexp.MustCompile(`^CREATE (UNIQUE )?INDEX (CONCURRENTLY )?(\w+) ON (\w+) `)
	dropIndex    = regexp.MustCompile(`^DROP INDEX CONCURRENTLY IF EXISTS (\w+)$`)
	addColumn    = regexp.MustCompile(`^ALTER TABLE \w+ ADD COLUMN `)
	needsValue   = regexp.MustCompile(`REFERENCES|UNIQUE|CHECK|PRIMARY KEY|NOT NULL(?: DEFAULT)?`)
)

// notAdditions returns the statements of a migration that do more than add.
func notAdditions(engine Engine, migration string) (faults []string) {
	concurrent := engine == Postgres && strings.Contains(migration, "-- +goose NO TRANSACTION")
	var tables []string // that the migration makes
	if theirs := changeTheirs.FindStringSubmatch(migration); theirs != nil && onlyChanges(theirs[0], theirs[1]) &&
		strings.Contains(migration, "CREATE TABLE IF NOT EXISTS "+theirs[1]+" (") {
		migration = strings.Replace(migration, theirs[0], "", 1)
	}
	for statement := range strings.SplitSeq(comment.ReplaceAllString(migration, ""), ";") {
		statement = strings.TrimSpace(statement)
		allowed := statement == ""
		if table := createTable.FindStringSubmatch(statement); table != nil {
			tables, allowed = append(tables, table[1]), true
		}
		if index := createIndex.FindStringSubmatch(statement); index != nil {
			isUnique, isConcurrent, table := index[1] != "", index[2] != "", index[4]
			allowed = isConcurrent == concurrent && (slices.Contains(tables, table) || !isUnique && (concurrent || engine == SQLite))
		}
		if index := dropIndex.FindStringSubmatch(statement); index != nil {
			allowed = concurrent && strings.Contains(migration, "CREATE INDEX CONCURRENTLY "+index[1]+" ON ")
		}
		if addColumn.MatchString(statement) {
			needs := needsValue.FindString(statement)
			allowed = needs == "" || needs == "NOT NULL DEFAULT"
		}
		if !allowed {
			faults = append(faults, statement)
		}
	}
	return faults
}

// onlyChanges reports whether a block changes no other table.
func onlyChanges(block, table string) bool {
	return !slices.ContainsFunc(changedTable.FindAllStringSubmatch(block, -1), func(m []string) bool { return m[1] != table })
}

// TestVersionBefore has the SQL of the first version run on the schema of this one, beside it and after it.
func TestVersionBefore(t *testing.T) {
	for engine, config := range map[Engine]Config{
		SQLite:   {Engine: SQLite, Path: filepath.Join(t.TempDir(), "before.db")},
		Postgres: {Engine: Postgres, URL: secret.New(postgres.NewDatabase(t))},
	} {
		t.Run(string(engine), func(t *testing.T) {
			db, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			err = db.withGoose(t.Context(), func(p *goose.Provider) error {
				_, err := p.UpTo(t.Context(), 1)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			asVersion1(t, db, "1")
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			asVersion1(t, db, "2")
			for _, n := range []string{"1", "2"} {
				wantAdopted(t, db, n)
			}
		})
	}
}

// asVersion1 makes an account with a session and a key, all with ids of n, as the first version did.
func asVersion1(t *testing.T, db *DB, n string) {
	t.Helper()
	id, now, later := idOf(n), db.at(time.Now()), db.at(time.Now().Add(time.Hour))
	hash := sha256.Sum256([]byte(n))
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{`INSERT INTO users (user_id, primary_email, primary_email_verified, display_name, avatar_url, plan,
			created_at, last_login_at, disabled_at) VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9)
			ON CONFLICT (lower(primary_email)) DO NOTHING`, []any{id, n + "@example.com", false, "r", "", "new", now, nil, nil}},
		{`INSERT INTO password_credentials (user_id, password_hash, password_changed_at) VALUES ($1, $2, $3)`, []any{id, "hash", now}},
		{
			`INSERT INTO auth_sessions (session_id, user_id, counter, client_type, device_label,
			created_at, last_seen_at, expires_at, ends_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			[]any{id, id, 0, "web", "", now, now, later, later, nil},
		},
		{`INSERT INTO api_keys (key_id, user_id, name, prefix, hash, tier, created_at, last_used_at, expires_at, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, []any{id, id, "k", "obtk_abc", hash[:], "new", now, nil, nil, nil}},
		{`UPDATE users SET last_login_at = $2 WHERE user_id = $1`, []any{id, now}},
		{`UPDATE auth_sessions SET refresh_token_hash = $2 WHERE session_id = $1`, []any{id, hex.EncodeToString(hash[:])}},
		{`UPDATE api_keys SET last_used_at = $2 WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`, []any{id, now}},
	} {
		if got, err := changed(db.write.ExecContext(t.Context(), step.statement, step.args...)); err != nil || got != 1 {
			t.Errorf("%s: %d rows, %v", step.statement, got, err)
		}
	}
}

func idOf(n string) string {
	return strings.Repeat("0", 8) + "-0000-4000-8000-" + strings.Repeat("0", 12-len(n)) + n
}

// wantAdopted wants what asVersion1 made to be there, its session with a refresh token of before as the current one.
func wantAdopted(t *testing.T, db *DB, n string) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	if _, hash, err := db.Credentials(ctx, n+"@example.com"); err != nil || hash != "hash" {
		t.Errorf("credentials: %q, %v", hash, err)
	}
	if k, err := db.KeyByHash(ctx, sha256.Sum256([]byte(n))); err != nil || k.ID != idOf(n) {
		t.Errorf("key: %+v, %v", k, err)
	}

	if is, err := db.HasAdoptedSessions(ctx); err != nil || !is {
		t.Errorf("has adopted sessions: %t, %v", is, err)
	}
	id, err := db.AdoptedSession(ctx, sha256.Sum256([]byte(n)))
	if err != nil || id != idOf(n) {
		t.Errorf("adopted session: %q, %v", id, err)
	}
	rotate := func(presented uint64) (session.Session, error) {
		return db.Rotate(ctx, id, presented, now, now.Add(time.Hour), audit.Entry{At: now, Kind: audit.SessionReused})
	}
	for range 2 {
		if s, err := rotate(0); err != nil || s.Counter != 1 {
			t.Errorf("its token: %+v, %v", s, err)
		}
	}
	if err := db.Revoke(ctx, id, session.Local, audit.Entry{At: now, Kind: audit.SignedOut}); err != nil {
		t.Error(err)
	}
}
