package cmd

import (
	"database/sql"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/provisioner/provisioner/test/postgres"
)

// TestAdoptScripts runs the sessions in testdata/adopt, each with DATABASE_URL set to a Papyrus database of its own.
func TestAdoptScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/adopt", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			url, err := newPapyrus(t)
			e.Setenv("DATABASE_URL", url)
			return err
		},
	})
}

// newPapyrus makes a database as the Papyrus server leaves it, and returns its URL.
func newPapyrus(t *testing.T) (string, error) {
	t.Helper()
	url := postgres.NewDatabase(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	for _, file := range []string{"schema.sql", "rows.sql"} {
		text, err := os.ReadFile("../pkg/store/testdata/papyrus/" + file)
		if err != nil {
			return "", err
		}
		if _, err := db.ExecContext(t.Context(), string(text)); err != nil {
			return "", err
		}
	}
	return url, nil
}
