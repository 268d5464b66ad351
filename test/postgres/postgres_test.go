package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provisioner/provisioner/test/postgres"
)

func TestNewDatabase(t *testing.T) {
	t.Run("two databases share nothing", func(t *testing.T) {
		a, b := connect(t, postgres.NewDatabase(t)), connect(t, postgres.NewDatabase(t))
		mustExec(t, a, "CREATE TABLE users (id int)")
		mustExec(t, b, "CREATE TABLE users (id int)")
	})
	t.Run("a connection left open does not keep the database", func(t *testing.T) {
		mustExec(t, connect(t, postgres.NewDatabase(t)), "SELECT 1") // closed after the database is dropped
	})
}

func TestServerOutage(t *testing.T) {
	server := postgres.StartServer(t)
	url := server.NewDatabase()
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE users (id int)")

	server.Stop()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("an open connection outlives the server")
	}
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("a stopped server takes connections")
	}

	server.Start()
	mustExec(t, connect(t, url), "INSERT INTO users VALUES (1)")
	server.Restart()
	mustExec(t, connect(t, url), "INSERT INTO users VALUES (2)")
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // the server may be gone
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
