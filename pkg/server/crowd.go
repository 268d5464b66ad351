package server

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/bound"
)

const (
	refusers     = 1024                   // connections that are told at once that there are too many; the others are just closed
	refuseWithin = 500 * time.Millisecond // for all of it: who sends no request hears nothing
	maxUnread    = 64 << 10
)

// crowd counts the connections of one listener, and turns those away that are too many.
type crowd struct {
	limit      int64 // 0 for none
	open, shed atomic.Int64
	refusing   chan struct{}
}

func newCrowd(service string, limit int64, metrics prometheus.Registerer) *crowd {
	c := &crowd{limit: limit, refusing: make(chan struct{}, refusers)}
	bound.Bound{Service: service, What: "connections", Limit: limit, Used: c.open.Load, Shed: c.shed.Load}.Register(metrics)
	return c
}

// enter reports whether there is room for one more, which then leaves.
func (c *crowd) enter() bool {
	if n := c.open.Add(1); c.limit == 0 || n <= c.limit {
		return true
	}
	c.open.Add(-1)
	c.shed.Add(1)
	return false
}

func (c *crowd) leave() { c.open.Add(-1) }

// refuse answers the first request of a connection and closes it, without holding up those who wait to be accepted.
func (c *crowd) refuse(conn *net.TCPConn, answer []byte) {
	select {
	case c.refusing <- struct{}{}:
		go func() {
			defer func() { <-c.refusing }()
			turnAway(conn, answer)
		}()
	default:
		_ = conn.Close()
	}
}

// turnAway waits for a request before it answers, as clients take what comes earlier for a fault, and reads on a little before it closes: the
// end of a connection with something unread would take the answer along.
func turnAway(conn *net.TCPConn, answer []byte) {
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(refuseWithin)) != nil {
		return
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return
	}
	if _, err := conn.Write(answer); err != nil {
		return
	}
	_ = conn.CloseWrite()
	_, _ = io.CopyN(io.Discard, conn, maxUnread)
}
