package faults_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// probeInterval is how often a balancer asks for readiness. It is a fraction of the drain delay, as in production.
const probeInterval = 50 * time.Millisecond

// balancer passes connections on to the replicas of a service that say that they are ready, one after the other. It does not look
// into what passes: a connection stays with its replica.
type balancer struct {
	t        testing.TB
	listener net.Listener
	backends []*backend
	next     atomic.Uint64
	passing  connections
}

type backend struct {
	*program.Process
	ready atomic.Bool
}

// newBalancer listens on a free port until t ends.
func newBalancer(t testing.TB) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{t: t, listener: listener}
	var serving sync.WaitGroup
	serving.Go(b.serve)
	t.Cleanup(func() { _ = listener.Close(); b.passing.close(); serving.Wait() })
	return b
}

func (b *balancer) url() string { return "http://" + b.listener.Addr().String() }

// add puts another replica behind b, and asks it for its readiness from now on.
func (b *balancer) add(p *program.Process) {
	r := &backend{Process: p}
	r.ready.Store(true)
	b.backends = append(b.backends, r)
	ended := make(chan struct{})
	var probing sync.WaitGroup
	probing.Go(func() {
		tick := time.NewTicker(probeInterval)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				r.ready.Store(r.Ready() == nil)
			}
		}
	})
	b.t.Cleanup(func() { close(ended); probing.Wait() })
}

func (b *balancer) serve() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.connect(client)
	}
}

// connect passes a connection on, or closes it when no replica takes it.
func (b *balancer) connect(client net.Conn) {
	for range 2 * len(b.backends) {
		r := b.backends[b.next.Add(1)%uint64(len(b.backends))]
		if !r.ready.Load() {
			continue
		}
		if server, err := net.Dial("tcp", r.Addr(r.Service)); err == nil {
			b.passing.join(client, server)
			return
		}
	}
	_ = client.Close()
}

// connections passes bytes between pairs of connections, and can stop to do so.
type connections struct {
	mu    sync.Mutex
	pairs map[*pair]bool
}

type pair struct {
	client, server net.Conn
	frozen         atomic.Bool
}

// join passes all bytes between the two on until one of them ends.
func (c *connections) join(client, server net.Conn) {
	p := &pair{client: client, server: server}
	c.mu.Lock()
	if c.pairs == nil {
		c.pairs = map[*pair]bool{}
	}
	c.pairs[p] = true
	c.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client) })
	both.Go(func() { p.pass(client, server) })
	both.Wait()

	c.mu.Lock()
	delete(c.pairs, p)
	c.mu.Unlock()
}

// freeze makes the connections that there are half-open: each end may go on writing, and nothing of it ever arrives, not even the end
// of the connection. New ones pass.
func (c *connections) freeze() (frozen int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.pairs {
		p.frozen.Store(true)
	}
	return len(c.pairs)
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.pairs {
		_, _ = p.client.Close(), p.server.Close()
	}
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
