package faults_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/provisioner/provisioner/test/record"
)

// link is a connection over the network to a server, as a [toxiproxy.Proxy] that can be made bad.
type link struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// newLink starts a good link to target until t ends.
func newLink(t testing.TB, target string) *link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{t: t, proxy: toxiproxy.NewProxy(server, "link", "127.0.0.1:0", target)}
	l.mend()
	t.Cleanup(l.proxy.Stop)
	return l
}

// by returns the URL of a server by way of another address, with a password that the server does not look at.
func by(t testing.TB, way, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	user := u.User.Username()
	if user == "" {
		user = "default"
	}
	u.User, u.Host = url.UserPassword(user, record.NewSecret("password of "+u.Scheme)), way
	return u.String()
}

// cut refuses connections, and ends those that there are.
func (l *link) cut() { l.proxy.Stop() }

// poison adds a toxic to what the server answers: latency, timeout, reset_peer, bandwidth.
func (l *link) poison(kind string, attributes map[string]int) {
	l.t.Helper()
	text, err := json.Marshal(map[string]any{"type": kind, "name": kind, "stream": "downstream", "attributes": attributes})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		l.t.Fatal(err)
	}
}

// mend makes the link good again.
func (l *link) mend() {
	l.t.Helper()
	l.proxy.Toxics.ResetToxics(context.Background())
	if l.proxy.Enabled {
		return
	}
	if err := l.proxy.Start(); err != nil {
		l.t.Fatal(err)
	}
}

// hostOf returns host and port of a URL.
func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// url returns the base URL of an HTTP server behind the link.
func (l *link) url() string { return "http://" + l.proxy.Listen }
