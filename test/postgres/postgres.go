// Package postgres gives tests a real Postgres: a fresh database on a server that all tests of a binary share, or a server
// of their own to stop and start. Both end with the test binary, however that ends. It knows no schema.
package postgres

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provisioner/provisioner/test/daemon"
)

// NewDatabase creates an empty database that is dropped after t, and returns its URL,
// "postgres://postgres@127.0.0.1:<port>/<name>?sslmode=disable", for a superuser. The server behind it starts with the
// first call and is shared by the tests of the binary.
func NewDatabase(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name, err := s.create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // a test's context ends before its cleanups
		if err := s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

// shared starts the server of this test binary, once. Nobody stops it: the kernel does when the binary ends.
var shared = sync.OnceValues(func() (*Server, error) {
	s, err := install()
	if err != nil {
		return nil, err
	}
	return s, s.start()
})

// Server is a Postgres server that belongs to one test, for tests of outages.
type Server struct {
	t       testing.TB // nil for the shared one
	bin     binaries
	dir     *daemon.Dir
	port    int
	options []string // of its configuration: "wal_level=logical"
	process *daemon.Daemon

	mu        sync.Mutex
	databases int
}

// StartServer runs a server that is stopped and removed after t, with options of its configuration like "wal_level=logical".
func StartServer(t testing.TB, options ...string) *Server {
	t.Helper()
	s, err := install()
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.options = t, options
	t.Cleanup(func() {
		s.Stop()
		if err := s.dir.Remove(); err != nil {
			t.Error(err)
		}
	})
	s.Start()
	return s
}

// NewDatabase creates an empty database and returns its URL, which stays the same over [Server.Stop] and [Server.Start].
func (s *Server) NewDatabase() string {
	s.t.Helper()
	name, err := s.create(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return s.url(name)
}

// Run has psql run a file of statements in a database, as an operator does, and returns what it printed.
func (s *Server) Run(database, file string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	psql := exec.Command(filepath.Join(s.bin.dir, "psql"), "-X", "-f", file, database)
	psql.Dir = s.dir.Path
	out, err := psql.CombinedOutput()
	return string(out), err
}

// Stop ends every connection and the server; its port refuses connections afterwards. Stopping twice does nothing.
func (s *Server) Stop() {
	s.t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Stop(syscall.SIGINT); err != nil { // a "fast" shutdown
		s.t.Error(err)
	}
	s.process = nil
}

// Start runs a stopped server again, on the same port and data, and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Restart is [Server.Stop] and [Server.Start].
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// start runs the server and waits until it answers. Everything that only guards against a power failure is off.
func (s *Server) start() error {
	args := []string{"-D", s.dir.Path + "/data", "-p", fmt.Sprint(s.port)}
	for _, option := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off",
	}, s.options...) {
		args = append(args, "-c", option)
	}
	process, err := daemon.Start(s.bin.command(s.dir.Path, "postgres", args...))
	if err != nil {
		return err
	}
	s.process = process
	return process.Await(func() error { return s.exec(context.Background(), "SELECT 1") })
}

// create makes an empty database and returns its name.
func (s *Server) create(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.databases++
	name := fmt.Sprintf("test_%d", s.databases)
	s.mu.Unlock()
	return name, s.exec(ctx, "CREATE DATABASE "+name)
}

// exec runs one statement outside of the tests' databases.
func (s *Server) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, statement); err != nil {
		_ = conn.Close(ctx) // the statement's error counts
		return fmt.Errorf("%s: %w", statement, err)
	}
	return conn.Close(ctx)
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}
