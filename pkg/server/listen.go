package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen binds the sockets of all services, or none of them: its error names every address that is not to be had, the
// setting that it comes from, and what to do. Run listens by itself; Listen is for those who want Addrs first. A second
// call does nothing.
func (g *Group) Listen(ctx context.Context) error {
	if g.bound != nil {
		return nil
	}
	var bound []*listener
	var errs []error
	for _, s := range g.services {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.Addr)
		if err != nil {
			errs = append(errs, s.explain(err))
			continue
		}
		bound = append(bound, &listener{Service: s, socket: l})
	}
	if len(errs) > 0 {
		for _, l := range bound {
			_ = l.socket.Close()
		}
		return errors.Join(errs...)
	}
	for _, l := range bound {
		l.crowd = newCrowd(l.Name, g.maxConns, g.metrics)
	}
	g.bound = bound
	return nil
}

// explain says what to do about err, which is why the address cannot be listened on.
func (s Service) explain(err error) error {
	advice := "set " + s.setting() + " to host:port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "the address is in use: stop what listens there, or set " + s.setting() + " to another"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine has no such address: set " + s.setting() + " to one that it has"
	case errors.Is(err, syscall.EACCES):
		advice = "permission denied: set " + s.setting() + " to a port above 1023"
	}
	return fmt.Errorf("%s %s: %s (%w)", s.setting(), s.Addr, advice, err)
}
