package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxHeaderBytes bounds the request line with the headers; net/http adds 4 KiB. The largest that we ask for is a JWT.
const maxHeaderBytes = 16 << 10

type timeouts struct {
	readHeader, read, write, idle time.Duration

	drain time.Duration // for the requests in flight at the end, and then again for the background work
}

var defaultTimeouts = timeouts{
	readHeader: 5 * time.Second,
	read:       15 * time.Second,
	write:      30 * time.Second, // well over the 8 s that a request may take; streams clear it by http.ResponseController
	// Longer than the pools of those in front (nginx and AWS 60 s, Go 90 s), so that the client gives up an idle connection
	// first: one that the server closes while a request is on its way loses that request.
	idle:  2 * time.Minute,
	drain: 15 * time.Second,
}

func (g *Group) newHTTPServer(requests context.Context, s Service) *http.Server {
	return &http.Server{
		Handler:           closing(&g.draining, s.Handler),
		ReadHeaderTimeout: g.timeouts.readHeader,
		ReadTimeout:       g.timeouts.read,
		WriteTimeout:      g.timeouts.write,
		IdleTimeout:       g.timeouts.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(g.log.With("service", s.Name).Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true, // OPTIONS * is answered by the service, like all others
	}
}

// closing ends each connection with the first request that begins after the drain has. Thus clients leave by themselves
// during the drain delay; closing idle connections at once would lose the requests just sent on them.
func closing(draining *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
