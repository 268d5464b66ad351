package config

import (
	"net"
	"net/netip"
	"strings"
)

const originsNote = "`[]`; for `serve all` on loopback `http://localhost:8081`, `http://papyrus.localhost:3000`"

// defaultDrain is for load balancers to notice, which serve all does without.
func defaultDrain(c *Config) string {
	if c.Service == All {
		return "0s"
	}
	return "5s"
}

func defaultServiceName(c *Config) string {
	if c.Service == All {
		return "provisioner"
	}
	return "provisioner-" + c.Service.String()
}

func defaultPublicURL(c *Config) string {
	_, port, err := net.SplitHostPort(c.Addr.Papyrus)
	if err != nil {
		return "" // the address itself is a fault
	}
	return "http://localhost:" + port
}

func defaultIssuer(c *Config) string {
	if c.Supabase.URL == nil {
		return ""
	}
	return c.Supabase.URL.JoinPath("auth/v1").String()
}

func defaultPowerSync(c *Config) string {
	if c.PublicBaseURL == nil {
		return ""
	}
	return c.PublicBaseURL.String()
}

// defaultOrigins allows the origins of the shipped apps' development servers, only where nobody else can reach addr.
func defaultOrigins(c *Config, addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err == nil && c.Service == All && IsLoopback(host) {
		return `["http://localhost:8081","http://papyrus.localhost:3000"]`
	}
	return "[]"
}

// IsLoopback reports whether host, without port or brackets, is this machine: a loopback address, localhost or a name
// under it (RFC 6761 section 6.3).
func IsLoopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
