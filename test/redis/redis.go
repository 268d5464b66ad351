// Package redis gives a test a real Redis server of its own, to use, stop and start. It keeps nothing over a stop.
package redis

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
)

// Server is a redis-server on loopback without persistence.
type Server struct {
	t       testing.TB
	program string
	dir     string
	port    int
	process *daemon.Daemon
}

// Start runs a server that is stopped after t.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("%v: run `make deps`", err)
	}
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, program: program, dir: t.TempDir(), port: port}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// Addr returns "127.0.0.1:<port>".
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns "redis://127.0.0.1:<port>/0".
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Stop ends the server and all that it held; its port refuses connections afterwards. Stopping twice does nothing.
func (s *Server) Stop() {
	s.t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Stop(syscall.SIGKILL); err != nil {
		s.t.Error(err)
	}
	s.process = nil
}

// Start runs a stopped server again, empty, on the same port, and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	cmd := exec.Command(s.program, "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "no")
	process, err := daemon.Start(cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = process
	if err := process.Await(s.ping); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) ping() error {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return err
	}
	_, writeErr := fmt.Fprint(conn, "PING\r\n")
	answer, readErr := bufio.NewReader(conn).ReadString('\n')
	if err := errors.Join(writeErr, readErr, conn.Close()); err != nil {
		return err
	}
	if answer != "+PONG\r\n" {
		return fmt.Errorf("redis answers %q to PING", answer)
	}
	return nil
}
