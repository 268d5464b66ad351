package syncapi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

// reader is a response of a device that takes so many bytes, and no more: then the deadline of the write comes.
type reader struct {
	http.ResponseWriter
	takes    int
	deadline time.Time
	longest  int             // write
	patience []time.Duration // for each write
}

func (r *reader) SetWriteDeadline(at time.Time) error {
	r.deadline = at
	return nil
}

func (r *reader) Write(b []byte) (int, error) {
	r.patience = append(r.patience, time.Until(r.deadline).Round(time.Second))
	r.deadline = time.Time{} // each write has one of its own
	r.longest = max(r.longest, len(b))
	if r.takes -= len(b); r.takes < 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return r.ResponseWriter.Write(b)
}

func TestSlowReader(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		t.Run("encoding "+encoding, func(t *testing.T) {
			r := newRig(t)
			r.store.commit(syncstream.NewPut("books", "b1", []byte(strings.Repeat("x", 200_000)))) // no JSON, which the device finds out
			req := httptest.NewRequest(http.MethodPost, "/sync/stream", strings.NewReader(`{"raw_data":true}`))
			req.Header.Set("Authorization", "Token u1")
			req.Header.Set("Accept-Encoding", encoding)
			device := &reader{ResponseWriter: httptest.NewRecorder(), takes: 100_000}
			if encoding == "gzip" {
				device.takes = 400
			}
			r.ServeHTTP(device, req) // returns once the device takes no more
			if device.longest > 16<<10 {
				t.Errorf("%d bytes were written at once", device.longest)
			}
			for i, p := range device.patience {
				if p != 30*time.Second {
					t.Fatalf("write %d of %d has a deadline in %v", i, len(device.patience), p)
				}
			}
			if r.streams.Counts().Open != 0 {
				t.Error("the stream's place is still taken")
			}
		})
	}
}

// TestIdleStreams holds many streams open, and measures what the server has of each: connection, goroutines and stacks. The bound leaves
// room for the test's own ends of the connections, and for the race detector.
func TestIdleStreams(t *testing.T) {
	const streams, most = 1000, 48 << 10
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			r := newRig(t)
			s := r.serve(t, func(*http.Server) {})
			connections := make([]net.Conn, streams)
			before := inUse()
			for i := range connections {
				connections[i] = mustListen(t, s, fmt.Sprint("u", i), encoding)
			}
			each := (int64(inUse()) - int64(before)) / streams
			t.Logf("an idle stream takes %d bytes of heap and stack", each)
			if each > most {
				t.Errorf("an idle stream takes more than %d bytes", most)
			}
			if n := r.streams.Counts().Open; n != streams {
				t.Errorf("%d streams are open", n)
			}
		})
	}
}

// mustListen opens a stream and reads its first bytes. It keeps nothing but the connection, so that the server's memory is measured.
func mustListen(t *testing.T, s *httptest.Server, user, encoding string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	const body = `{"client_id":"84a418e1-90a3-4bb4-a2a9-a8a1d9a1a8a1","raw_data":true,"buckets":[]}`
	_, err = fmt.Fprintf(c, "POST /sync/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Token %s\r\nAccept-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s",
		user, encoding, len(body), body)
	must(t, err)
	status := make([]byte, len("HTTP/1.1 200"))
	_, err = io.ReadFull(c, status)
	must(t, err)
	if string(status) != "HTTP/1.1 200" {
		t.Fatalf("%s", status)
	}
	return c
}

// inUse returns the bytes of heap and stacks in use.
func inUse() uint64 {
	for range 5 { // a collection halves a stack that is too large
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
