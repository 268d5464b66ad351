package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// TestServeAllDrains ends a process under load, with 50 requests in it whose bodies come only afterwards.
func TestServeAllDrains(t *testing.T) {
	tests := []struct {
		name  string
		sig   os.Signal
		delay string
	}{
		{"SIGTERM", terminate, "0s"},
		{"SIGINT, which no drain delay holds up", interrupt, "1m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const held = 50
			p := start(t, "all", program.Settings{"DRAIN_DELAY": tt.delay})
			clients := startLoad(t, p.URL("sender"))
			clients.turn()
			waiting := make([]*heldRequest, held)
			for i := range waiting {
				waiting[i] = hold(t, p.Addr("sender"), wire.Event(-1-i))
			}

			p.Signal(tt.sig)
			// The clients go on: what gets no answer from now on came too late.
			program.Eventually(t, "nobody listens", func() bool {
				conn, err := net.Dial("tcp", p.Addr("sender"))
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			clients.ended.Store(true)
			for _, r := range waiting {
				if a := r.finish(t); a.Status != http.StatusOK {
					t.Errorf("a request that was under way: %v", a)
				}
			}
			if code := p.Stop(syscall.Signal(0)); code != 0 { // signal 0 does nothing: it has ended by itself
				t.Errorf("exit code %d", code)
			}

			p.Env["DRAIN_DELAY"] = "0s"
			p.Start()
			acknowledged, failures := clients.end()
			for _, f := range failures {
				if f != "no answer" {
					t.Errorf("refused while draining: %s", f)
				}
			}
			for _, r := range waiting {
				acknowledged = append(acknowledged, r.body)
			}
			stored := p.Events()
			for _, body := range acknowledged {
				if stored[body] != 1 {
					t.Errorf("an acknowledged event is stored %d times: %s", stored[body], body)
				}
			}
			t.Logf("%d events acknowledged, %d of them during the drain; %d came too late", len(acknowledged), held, len(failures))
		})
	}
}

// heldRequest is a request that a handler has begun to read: its body is still to come.
type heldRequest struct {
	body string
	conn net.Conn
	in   *bufio.Reader
}

// hold sends the head of a request to /send, and returns when the handler asks for the body.
func hold(t *testing.T, addr, body string) *heldRequest {
	t.Helper()
	conn := dial(t, addr)
	_, err := fmt.Fprintf(conn, "POST /send HTTP/1.1\r\nHost: sender\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("asked to continue: %q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil { // the empty line
		t.Fatal(err)
	}
	return &heldRequest{body, conn, in}
}

func (r *heldRequest) finish(t *testing.T) wire.Answer {
	t.Helper()
	if _, err := io.WriteString(r.conn, r.body); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, r.in)
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(program.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func readAnswer(t *testing.T, in *bufio.Reader) wire.Answer {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := wire.Read(resp, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestDrainDelayLosesNothing ends a sender whose clients go elsewhere when it is no longer ready, as a load balancer's do.
func TestDrainDelayLosesNothing(t *testing.T) {
	s := program.Keyring("k1").With(program.WithoutIdentity())
	receiver := start(t, "receiver", s)
	sender := start(t, "sender", s.With(program.Settings{"RECEIVER_WORKER_URL": receiver.URL("receiver"), "DRAIN_DELAY": "1s"}))
	clients := startLoad(t, sender.URL("sender"))
	clients.turn()

	sender.Signal(terminate)
	program.Eventually(t, "readiness fails", func() bool { return sender.Ready() != nil })
	clients.turn() // requests that begin while it drains are answered too
	acknowledged, failures := clients.end()
	if code := sender.Stop(syscall.Signal(0)); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(failures), len(acknowledged)+len(failures), failures)
	}
}
