package faults_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// passage takes connections and passes all bytes on between each and another that it dials for it. It can stop to do so.
type passage struct {
	t        testing.TB
	listener net.Listener
	dial     func() (net.Conn, error)

	mu    sync.Mutex
	pairs map[*pair]bool
}

// newPassage listens on a free port until t ends.
func newPassage(t testing.TB, dial func() (net.Conn, error)) *passage {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &passage{t: t, listener: listener, dial: dial, pairs: map[*pair]bool{}}
	var serving sync.WaitGroup
	serving.Go(p.serve)
	t.Cleanup(func() { _ = listener.Close(); p.close(); serving.Wait() })
	return p
}

func (p *passage) addr() string { return p.listener.Addr().String() }

func (p *passage) url() string { return "http://" + p.addr() }

func (p *passage) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(client)
	}
}

// connect passes all bytes of a connection on until one end ends it.
func (p *passage) connect(client net.Conn) {
	server, err := p.dial()
	if err != nil {
		_ = client.Close()
		return
	}
	joined := &pair{client: client, server: server}
	p.mu.Lock()
	p.pairs[joined] = true
	p.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { joined.pass(server, client) })
	both.Go(func() { joined.pass(client, server) })
	both.Wait()

	p.mu.Lock()
	delete(p.pairs, joined)
	p.mu.Unlock()
}

// freeze makes the connections that there are half-open: each end may go on writing, and nothing of it ever arrives, not even the
// end of the connection. New ones pass.
func (p *passage) freeze() (frozen int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for joined := range p.pairs {
		joined.frozen.Store(true)
	}
	return len(p.pairs)
}

func (p *passage) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for joined := range p.pairs {
		_, _ = joined.client.Close(), joined.server.Close()
	}
}

type pair struct {
	client, server net.Conn
	frozen         atomic.Bool
}

func (p *pair) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if p.frozen.Load() {
			if err != nil {
				return // the other end does not hear of it
			}
			continue
		}
		if n > 0 {
			if _, writeErr := to.Write(buf[:n]); writeErr != nil {
				err = writeErr
			}
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}
