package middleware

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/binding"
)

// ClientAddress finds the address of the client. X-Forwarded-For counts only from trusted proxies and from services bound
// in this process: read from the right, the first address that is not a trusted proxy's is the client's. A forwarded header from
// an untrusted private peer is a likely slip of configuration and logged once.
func ClientAddress(trusted []netip.Prefix, log *slog.Logger) echo.IPExtractor {
	var warn sync.Once
	return func(r *http.Request) string {
		forwarded := r.Header.Values(echo.HeaderXForwardedFor)
		if binding.Bound(r.Context()) {
			return strings.Join(forwarded, ",")
		}

		peer := peerAddress(r.RemoteAddr)
		if len(forwarded) == 0 {
			return peer.String()
		}
		if !contains(trusted, peer) {
			if peer.IsPrivate() || peer.IsLoopback() {
				warn.Do(func() {
					log.Warn("X-Forwarded-For of a private peer is not believed: is it missing in TRUSTED_PROXIES?", "peer", peer)
				})
			}
			return peer.String()
		}
		return lastUntrusted(strings.Join(forwarded, ","), trusted, peer).String()
	}
}

func lastUntrusted(chain string, trusted []netip.Prefix, peer netip.Addr) netip.Addr {
	hops := strings.Split(chain, ",")
	last := peer
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return last
		}
		last = addr.Unmap()
		if !contains(trusted, last) {
			return last
		}
	}
	return last
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func peerAddress(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, _ := netip.ParseAddr(host) // the zero Addr counts for one network of its own
	return addr.Unmap()
}

// Client returns the address of the request's client.
func Client(c echo.Context) netip.Addr {
	addr, _ := netip.ParseAddr(c.RealIP())
	return addr
}
