package faults_test

import (
	"errors"
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
	*passage
	backends []*backend
	next     atomic.Uint64
}

type backend struct {
	*program.Process
	ready atomic.Bool
}

// newBalancer listens on a free port until t ends.
func newBalancer(t testing.TB) *balancer {
	t.Helper()
	b := &balancer{}
	b.passage = newPassage(t, b.dial)
	return b
}

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

// dial connects to a replica.
func (b *balancer) dial() (net.Conn, error) {
	for range 2 * len(b.backends) {
		r := b.backends[b.next.Add(1)%uint64(len(b.backends))]
		if !r.ready.Load() {
			continue
		}
		if server, err := net.Dial("tcp", r.Addr(r.Service)); err == nil {
			return server, nil
		}
	}
	return nil, errors.New("no replica is ready")
}
