package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// TestTooManyConnections: whoever is one too many is told so, in the service's words and with a time to come again, and those who are in
// go on. A place that is given up is another's at once.
func TestTooManyConnections(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.WriteHeader(http.StatusTeapot)
	}))
	r.maxConns = 2
	r.Add(Service{Name: "papyrus", Addr: "127.0.0.1:0", Handler: http.NotFoundHandler(), Dialect: apierror.Nested})
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)

	first, second := dial(t, r.addrs["sender"]), dial(t, r.addrs["sender"])
	for _, c := range []net.Conn{first, second} {
		wantStatus(t, c, http.StatusTeapot)
	}
	const body = "a body that nobody reads"
	third := exchange(t, r.addrs["sender"], "POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\n"+body)
	want := `{"error":"too many connections at once, try again","code":"SERVICE_UNAVAILABLE"}`
	if third.status != http.StatusServiceUnavailable || third.body != want || third.header.Get("Retry-After") != "1" || !third.closing {
		t.Errorf("the third got %d %s %v", third.status, third.body, third.header)
	}
	wantStatus(t, first, http.StatusTeapot)
	if other := exchange(t, r.addrs["papyrus"], "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); other.status != http.StatusNotFound {
		t.Errorf("another listener answers %d", other.status)
	}
	metrics := r.get(t, "admin", "/metrics").body + "\n"
	for _, line := range []string{
		`provisioner_bound_limit{service="sender",what="connections"} 2`, `provisioner_bound_used{service="sender",what="connections"} 2`,
		`provisioner_shed_total{service="sender",what="connections"} 1`, `provisioner_shed_total{service="papyrus",what="connections"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}

	_ = second.Close()
	r.awaitRoom(t, "sender")
	wantStatus(t, dial(t, r.addrs["sender"]), http.StatusTeapot)
	_ = first.Close()
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// TestCrowdThatSaysNothing: connections without a request take no room and no goroutine for longer than a moment.
func TestCrowdThatSaysNothing(t *testing.T) {
	r := newRig(t, http.NotFoundHandler())
	r.maxConns = 1
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)
	first := dial(t, r.addrs["sender"])
	wantStatus(t, first, http.StatusNotFound)
	for range refusers + 50 {
		silent := dial(t, r.addrs["sender"])
		defer func() {
			if _, err := silent.Read(make([]byte, 1)); err == nil {
				t.Error("who said nothing got an answer")
			}
		}()
	}
	wantStatus(t, first, http.StatusNotFound)
	_ = first.Close()
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantStatus makes a request on a connection that stays open.
func wantStatus(t *testing.T, c net.Conn, want int) {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("status %d, want %d", resp.StatusCode, want)
	}
}

// awaitRoom waits until a closed connection is noticed.
func (r *rig) awaitRoom(t *testing.T, service string) {
	t.Helper()
	for _, l := range r.bound {
		for deadline := time.Now().Add(patience); l.Name == service && l.crowd.open.Load() >= l.crowd.limit; {
			if time.Now().After(deadline) {
				t.Fatal("no room after a connection was closed")
			}
			time.Sleep(time.Millisecond)
		}
	}
}
