package e2e_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/test/program"
)

// switchboard passes connections on to a Postgres, and can keep from it who listens for notices.
type switchboard struct {
	t      testing.TB
	url    string // of the database, by way of the switchboard
	target string

	mu       sync.Mutex
	listener net.Conn // the connection to Postgres that listens, nil while there is none
	muted    net.Conn // one that listened, and over which nothing passes any more
	deaf     bool
	refused  int // connections that wanted to listen meanwhile
}

// newSwitchboard puts a switchboard in front of a database until t ends.
func newSwitchboard(t *testing.T, database string) *switchboard {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &switchboard{t: t, target: u.Host}
	u.Host = l.Addr().String()
	s.url = u.String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.connect(client)
		}
	}()
	return s
}

func (s *switchboard) connect(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", s.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		defer func() { _ = client.Close() }()
		_ = s.pass(client, server, func([]byte) bool { return true })
	}()
	_ = s.pass(server, client, func(sent []byte) bool {
		return !bytes.Contains(sent, []byte("LISTEN ")) || s.admit(server)
	})
}

// pass copies while admit agrees. What has been muted is not copied any more, and not closed either.
func (s *switchboard) pass(to, from net.Conn, admit func([]byte) bool) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return err
		}
		if !admit(buffer[:n]) {
			return net.ErrClosed
		}
		if s.isMuted(to) || s.isMuted(from) {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return err
		}
	}
}

// admit notes a connection that wants to listen, and reports whether it may.
func (s *switchboard) admit(server net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		s.refused++
		return false
	}
	s.listener = server
	return true
}

func (s *switchboard) isMuted(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return conn == s.muted
}

// deafen ends the listening connection and refuses others, and returns when the replica has noticed: it tries again.
func (s *switchboard) deafen() {
	s.t.Helper()
	_ = s.refuse().Close()
	program.Eventually(s.t, "the replica tries to listen again", s.asks(func() bool { return s.refused > 0 }))
}

// mute lets nothing pass any more over the listening connection, which stays open, and refuses others.
func (s *switchboard) mute() {
	listener := s.refuse()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = listener
}

// refuse lets nobody listen any more but who does, whose connection it returns.
func (s *switchboard) refuse() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	listener := s.listener
	s.deaf, s.refused, s.listener = true, 0, nil
	return listener
}

// hear lets the replica listen again, and returns when it does.
func (s *switchboard) hear() {
	s.t.Helper()
	s.mu.Lock()
	s.deaf = false
	s.mu.Unlock()
	program.Eventually(s.t, "the replica listens again", s.asks(func() bool { return s.listener != nil }))
}

// asks returns a question about s under its lock.
func (s *switchboard) asks(question func() bool) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return question()
	}
}
