package cmd

import (
	"net"
	"net/http"
	"time"

	"github.com/provisioner/provisioner/pkg/binding"
)

// Peers, as traces and metrics name them.
const (
	peerReceiver = "receiver"
	peerIdentity = "identity"
	peerProvider = "oidc"
)

const (
	dialTimeout     = 2 * time.Second
	idleConnections = 256 // kept open to one peer: sender and receiver talk to one each
)

// newNetwork returns the transport of calls to other services.
func newNetwork() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented in net/http
	t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 2*idleConnections, idleConnections
	t.IdleConnTimeout = 60 * time.Second // less than our servers keep them, so that no request meets a closing connection
	t.DisableCompression = true
	return t
}

// network returns the transport of calls to a peer by way of a network, which peers share.
func (s *services) network(peer string, network http.RoundTripper) http.RoundTripper {
	return s.calls(peer, s.measure(peer, network))
}

// calls returns the transport of calls to peer by way of next, recorded where traces are.
func (s *services) calls(peer string, next http.RoundTripper) http.RoundTripper {
	if s.traces == nil {
		return next
	}
	return s.traces.Transport(peer, next)
}

// bound returns the transport of calls to a service of this process.
func (s *services) bound(peer string, service http.Handler) http.RoundTripper {
	return s.calls(peer, binding.NewTransport(service))
}
