// Package smtp gives a test a real mail server of its own, to use, stop and start. It delivers nothing: what it takes, the
// test reads.
package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/provisioner/provisioner/test/daemon"
)

const (
	host         = "127.0.0.1"
	awaitTimeout = 30 * time.Second // a busy machine included
)

// Server is a mail server on loopback. Its methods are safe for concurrent use, but for Stop and Start.
type Server struct {
	t        testing.TB
	port     int
	starttls *tls.Config // nil to offer none
	tls      *tls.Config // nil for plain connections
	roots    *x509.CertPool
	username string
	password string         // needed where there is a username
	running  *gosmtp.Server // nil while stopped
	listener net.Listener
	ended    chan error

	mu       sync.Mutex
	messages []Message
	arrived  chan struct{} // closed, and replaced, with each message
	refusals []*gosmtp.SMTPError
}

// Option departs from a server that talks in the clear, with anybody.
type Option func(*Server)

// STARTTLS has the server offer TLS, with a certificate that only [Server.Roots] vouches for.
func STARTTLS() Option {
	return func(s *Server) { s.starttls = s.certify() }
}

// TLS has the server talk TLS from the first byte, with a certificate that only [Server.Roots] vouches for.
func TLS() Option {
	return func(s *Server) { s.tls = s.certify() }
}

// Auth has the server take mail only from who signs in. Without TLS it lets them do so in the clear.
func Auth(username, password string) Option {
	return func(s *Server) { s.username, s.password = username, password }
}

// Start runs a server that is stopped after t.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, port: port, roots: x509.NewCertPool(), arrived: make(chan struct{})}
	for _, option := range options {
		option(s)
	}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// Start runs a stopped server again on the same port. It still has its messages.
func (s *Server) Start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	server := gosmtp.NewServer(gosmtp.BackendFunc(s.newSession))
	server.Domain = "localhost"
	server.TLSConfig = s.starttls
	server.AllowInsecureAuth = s.starttls == nil
	server.EnableSMTPUTF8 = true
	server.ErrorLog = silent{}
	s.running, s.listener, s.ended = server, listener, make(chan error, 1)
	go func() { s.ended <- server.Serve(listener) }()
}

// Stop closes the server and its connections; its port refuses connections afterwards. Stopping twice does nothing.
func (s *Server) Stop() {
	s.t.Helper()
	if s.running == nil {
		return
	}
	_ = s.running.Close()  // knows the listener only once Serve has begun
	_ = s.listener.Close() // it may be closed already
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	s.running = nil
}

// Addr returns "127.0.0.1:<port>".
func (s *Server) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// Host returns "127.0.0.1".
func (s *Server) Host() string { return host }

// Port returns the port, free and the same while the server is stopped.
func (s *Server) Port() int { return s.port }

// Roots returns what to trust for the server's certificate. It is empty without TLS.
func (s *Server) Roots() *x509.CertPool { return s.roots }

// Refuse has the server answer the next n recipients with a code, such as 451 or 550, in words that repeat the address.
func (s *Server) Refuse(n, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.refusals = append(s.refusals, &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 1, 1}})
	}
}

// refusal returns the next refusal, nil when there is none.
func (s *Server) refusal() *gosmtp.SMTPError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refusals) == 0 {
		return nil
	}
	next := s.refusals[0]
	s.refusals = s.refusals[1:]
	return next
}

// Messages returns what the server has taken so far, in the order of its arrival.
func (s *Server) Messages() []Message {
	messages, _ := s.state()
	return messages
}

// Await returns the messages once there are n of them, and fails the test if there are not within 30 seconds.
func (s *Server) Await(n int) []Message {
	s.t.Helper()
	timeout := time.After(awaitTimeout)
	for {
		messages, arrived := s.state()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-arrived:
		case <-timeout:
			s.t.Fatalf("%d of %d messages arrived in %v", len(messages), n, awaitTimeout)
		}
	}
}

func (s *Server) state() ([]Message, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...), s.arrived
}

func (s *Server) take(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// silent keeps broken connections, which are part of tests, out of the output.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}
