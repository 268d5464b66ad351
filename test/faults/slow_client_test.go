package faults_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// TestSlowClients has hundreds of connections do as little as they can while others ask: these are served, the slow are let go, and
// what they held comes back.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const head = "POST /send HTTP/1.1\r\nHost: sender\r\nContent-Type: application/json\r\n"
	tests := []struct {
		name  string
		crowd int
		first string
		stay  func(conn net.Conn) error // returns when the server has ended the connection
	}{
		{"that send nothing", 500, "", readAll},
		{"that send a header by the byte", 500, head + "X-Slow: ", dribble},
		{"that send a body by the byte", 500, head + "Content-Length: 10000\r\n\r\n", dribble},
		{"that do not read the answers", 50, "", deaf},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newTrio(t, program.Settings{})
			clients := n.startLoad(4, 20*time.Millisecond)
			clients.goOn(20)
			before := n.sender.Metric("process_open_fds")

			var gone atomic.Int64
			var all sync.WaitGroup
			began := time.Now()
			for range tt.crowd {
				conn := n.dial(tt.first)
				all.Go(func() {
					if tt.stay(conn) != nil {
						gone.Add(1)
					}
					_ = conn.Close()
				})
			}
			clients.goOn(200)
			all.Wait()
			took := time.Since(began)
			clients.stop()
			clients.check(t, n.database())
			if requests, failed := clients.counts(); failed > 0 {
				t.Errorf("%d of %d requests of others failed", failed, requests)
			}
			t.Logf("%d of %d slow clients were let go within %v", gone.Load(), tt.crowd, took.Round(time.Second))
			if gone.Load() != int64(tt.crowd) {
				t.Errorf("%d of %d slow clients were let go", gone.Load(), tt.crowd)
			}
			program.Eventually(t, "what the slow held has come back", func() bool {
				return n.sender.Metric("process_open_fds") <= before+10
			})
		})
	}
}

// dial opens a connection to the sender that begins with text and ends by itself long after the server should have ended it.
func (n *trio) dial(text string) net.Conn {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.sender.Addr("sender"))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(90 * time.Second)); err != nil {
		n.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		n.t.Fatal(err)
	}
	return conn
}

// readAll returns io.EOF when the server ends the connection, and nil when it does not.
func readAll(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as the connection returns it
		return nil
	}
	return io.EOF
}

// dribble sends a byte now and then.
func dribble(conn net.Conn) error {
	ended := make(chan error, 1)
	go func() { ended <- readAll(conn) }()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			_, _ = io.WriteString(conn, "a") // the end is what the reader sees
		}
	}
}

// deaf asks for page after page and reads none, until the server gives up.
func deaf(conn net.Conn) error {
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		return nil //nolint:nilerr // it was not let go
	}
	requests := strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: sender\r\n\r\n", 100)
	for {
		if _, err := io.WriteString(conn, requests); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as the connection returns it
				return nil //nolint:nilerr // it was not let go
			}
			return err
		}
	}
}
