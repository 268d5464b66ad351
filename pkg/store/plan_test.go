package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/postgres"
)

// TestPlans asks both engines how they would run each statement on a table that grows: by an index.
func TestPlans(t *testing.T) {
	for engine, config := range map[Engine]Config{
		SQLite:   {Engine: SQLite, Path: filepath.Join(t.TempDir(), "plans.db")},
		Postgres: {Engine: Postgres, URL: secret.New(postgres.NewDatabase(t))},
	} {
		t.Run(string(engine), func(t *testing.T) {
			db, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for statement, args := range plans(db) {
				for line := range strings.Lines(explainPlan(t, db, statement, args)) {
					if scansTable(line) {
						t.Errorf("%s\n%s", statement, line)
					}
				}
			}
		})
	}
}

// scansTable reports whether a line of a plan reads a whole table: "SCAN users" of SQLite, which reads by an index in
// "SCAN users USING INDEX …", or "Seq Scan on users" of Postgres.
func scansTable(line string) bool {
	return strings.Contains(line, "SCAN ") && !strings.Contains(line, " USING ") || strings.Contains(line, "Seq Scan")
}

// plans returns statements with arguments.
func plans(db *DB) map[string][]any {
	now, id, digest := db.at(time.Now()), "00000000-0000-4000-8000-000000000000", make([]byte, 32)
	all := map[string][]any{
		insertNonce:                         {digest, now},
		insertDigest:                        {digest, now, now},
		selectEvents + oldestFirst:          {now, 0, now, "", 10},
		selectEvents + ofUser + oldestFirst: {now, 0, now, "", 10, "reader"},
		deleteEvents:                        {id},
		selectClaim:                         {digest},
		takeClaim:                           {digest, "", now},
		completeClaim:                       {digest, "", digest},
		releaseClaim:                        {digest, ""},
		abandonClaim:                        {digest, "", now},
		deleteClaims:                        {id},
		userByID:                            {id},
		userByEmail:                         {"reader@example.com"},
		usersAfter:                          {now, id, 10},
		firstUsers:                          {10},
		selectPassword:                      {id},
		updatePassword:                      {id, "", "", now},
		updateLogin:                         {id, now},
		deleteUser:                          {id},
		sessionByID:                         {id},
		stepSession:                         {id, 0, now, now},
		revokeSession:                       {id, now},
		revokeUser:                          {id, now},
		revokeAll:                           {id, now},
		revokeOthers:                        {id, now},
		selectIssue:                         {id, "", now},
		countLive:                           {id, now},
		keyByHash:                           {digest},
		updateUse:                           {id, now},
	}
	for _, e := range []expired{expiredNonces, expiredDigests, expiredClaims, expiredIssues, endedSessions, oldEvents} {
		all[e.statement(db.dialect)] = []any{now, purgeChunk}
	}
	return all
}

// explainPlan returns the plan with the cost of scanning a table set so high that only a missing index leads to it: the tables
// of the test are empty.
func explainPlan(t *testing.T, db *DB, statement string, args []any) string {
	t.Helper()
	tx, err := db.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()

	explain := `EXPLAIN QUERY PLAN `
	if db.engine == Postgres {
		explain = `EXPLAIN `
		if _, err := tx.Exec(`SET LOCAL enable_seqscan = off`); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := tx.Query(explain+statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer func() { _ = rows.Close() }()
	return planText(t, db.engine, rows)
}

func planText(t *testing.T, engine Engine, rows *sql.Rows) string {
	t.Helper()
	var lines []string
	for rows.Next() {
		var line string
		var ignored int
		dest := []any{&line}
		if engine == SQLite {
			dest = []any{&ignored, &ignored, &ignored, &line}
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestMigrateSoon holds the start of a program to a look at two tables: an up-to-date schema waits for nobody's lock.
func TestMigrateSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soon.db")
	db, err := openSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFile(t.Context(), path+".migrate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := db.Migrate(ctx); err != nil {
		t.Error(err)
	}
}
