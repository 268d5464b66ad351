package provisioning_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/client/provisioning"
)

// wired returns a client whose connections are pipes to serve, in a bubble of [synctest], and counts them.
func wired(serve func(net.Conn), dial time.Duration) (client *provisioning.Client, dialled *atomic.Int32, closeIdle func()) {
	dialled = new(atomic.Int32)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialled.Add(1)
		select {
		case <-time.After(dial):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
				serve(theirs)
			}
		}()
		return ours, nil
	}}
	return provisioning.New("http://localhost:8787", provisioning.WithHTTPClient(&http.Client{Transport: transport})), dialled, transport.CloseIdleConnections
}

const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"

// trickle writes text in parts of one byte, pause before each.
func trickle(w io.Writer, text string, pause time.Duration) {
	for i := range len(text) {
		time.Sleep(pause) // of the bubble's clock
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			return
		}
	}
}

// TestTimeouts has 10 s for the connection, 10 s from there to the answer, and 10 s to each part of it; with waits of 1 s and 2 s.
func TestTimeouts(t *testing.T) {
	answer := func(c net.Conn) { _, _ = io.WriteString(c, head+`{"ok":true}`) }
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	const thrice = 3*10*time.Second + 3*time.Second

	for name, tt := range map[string]struct {
		dial  time.Duration
		serve func(net.Conn)
		want  string // the message; "" for success
		took  time.Duration
		tries int32
	}{
		"a connection after 9 s":           {9 * time.Second, answer, "", 9 * time.Second, 1},
		"no connection in 10 s":            {time.Minute, answer, provisioning.MessageTimeout, thrice, 3},
		"an answer 9 s after a slow start": {9 * time.Second, func(c net.Conn) { time.Sleep(9 * time.Second); answer(c) }, "", 18 * time.Second, 1},
		"no answer in 10 s":                {0, silent, provisioning.MessageTimeout, thrice, 3},
		"an answer in parts of 9 s": {0, func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			trickle(c, `{"ok":true}`, 9*time.Second)
		}, "", 99 * time.Second, 1},
		"an answer that stops": {0, func(c net.Conn) {
			_, _ = io.WriteString(c, head+`{"ok"`)
			silent(c)
		}, provisioning.MessageTimeout, thrice, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, dialled, closeIdle := wired(tt.serve, tt.dial)
				defer closeIdle()
				start := time.Now()
				failed, _ := client.ProvisionKey(t.Context(), "a.b.c", "laptop", "new").(provisioning.Error)
				if took := time.Since(start); failed.Message != tt.want || took != tt.took || dialled.Load() != tt.tries {
					t.Errorf("%d tries end in %+v after %v; want %d, %q, %v", dialled.Load(), failed, took, tt.tries, tt.want, tt.took)
				}
			})
		})
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	for name, tt := range map[string]struct {
		end   time.Duration
		serve func(net.Conn)
		bound func(context.Context, time.Duration) (context.Context, context.CancelFunc)
		want  string
		tries int32
	}{
		"its deadline within a try": {5 * time.Second, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, context.WithTimeout, provisioning.MessageTimeout, 1},
		"cancelled within a try":    {5 * time.Second, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, cancelAfter, provisioning.MessageNetwork, 1},
		"cancelled within a wait":   {500 * time.Millisecond, func(net.Conn) {}, cancelAfter, provisioning.MessageNetwork, 1},
		"over before it begins":     {0, func(net.Conn) {}, context.WithTimeout, provisioning.MessageTimeout, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, dialled, closeIdle := wired(tt.serve, 0)
				defer closeIdle()
				ctx, cancel := tt.bound(t.Context(), tt.end)
				defer cancel()
				start := time.Now()
				failed, _ := client.SignIn(ctx, "a@b.test", "pw").(provisioning.Error)
				if took := time.Since(start); failed.Message != tt.want || took != tt.end || dialled.Load() != tt.tries {
					t.Errorf("%d tries end in %+v after %v; want %d, %q, %v", dialled.Load(), failed, took, tt.tries, tt.want, tt.end)
				}
			})
		})
	}
}

func cancelAfter(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(d, cancel)
	return ctx, cancel
}
