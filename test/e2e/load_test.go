package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// load is clients that keep reporting events through a sender, each the next one when it has its answer.
type load struct {
	t       testing.TB
	sender  string
	ended   atomic.Bool
	next    atomic.Int64
	clients []*loadClient
	all     sync.WaitGroup
}

type loadClient struct {
	answers      atomic.Int64
	acknowledged []string // bodies
	failures     []string
}

const loadClients = 8

// startLoad starts a load that ends with end, or with t.
func startLoad(t testing.TB, sender string) *load {
	t.Helper()
	l := &load{t: t, sender: sender}
	for range loadClients {
		c := &loadClient{}
		l.clients = append(l.clients, c)
		l.all.Go(func() { l.report(c) })
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) report(c *loadClient) {
	for !l.ended.Load() {
		body := wire.Event(int(l.next.Add(1)))
		a, err := post(l.sender+"/send", body)
		switch {
		case err != nil:
			c.failures = append(c.failures, "no answer")
		case a.Status != http.StatusOK:
			c.failures = append(c.failures, a.String())
		default:
			c.acknowledged = append(c.acknowledged, body)
		}
		c.answers.Add(1)
	}
}

// turn returns when no request is under way any more that was before.
func (l *load) turn() {
	l.t.Helper()
	for i, c := range l.clients {
		before := c.answers.Load()
		program.Eventually(l.t, fmt.Sprintf("client %d gets on", i), func() bool { return c.answers.Load() >= before+2 })
	}
}

// end ends the load and returns what was acknowledged and what failed.
func (l *load) end() (acknowledged, failures []string) {
	l.ended.Store(true)
	l.all.Wait()
	for _, c := range l.clients {
		acknowledged, failures = append(acknowledged, c.acknowledged...), append(failures, c.failures...)
	}
	return acknowledged, failures
}
