package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// rig is a group with one service, "sender", that a test sends signals to.
type rig struct {
	*Group
	signals chan os.Signal
	delays  chan time.Duration // what Run waits for
	waited  chan time.Time     // ends the waiting
	result  chan error
	addrs   map[string]string
	logged  *logBuffer
}

func newRig(t *testing.T, h http.Handler, checks ...Check) *rig {
	t.Helper()
	r := &rig{
		signals: make(chan os.Signal, 4), delays: make(chan time.Duration, 1), waited: make(chan time.Time, 1),
		result: make(chan error, 1), logged: &logBuffer{},
	}
	r.Group = New(Config{
		Log: slog.New(slog.NewTextHandler(r.logged, nil)), Metrics: prometheus.NewRegistry(), Admin: "127.0.0.1:0",
		Ready: checks, DrainDelay: time.Hour, Signals: r.signals,
	})
	r.after = func(d time.Duration) <-chan time.Time {
		r.delays <- d
		if d == 0 {
			return time.After(0)
		}
		return r.waited
	}
	r.Add(Service{Name: "sender", Addr: "127.0.0.1:0", Handler: h})
	return r
}

// run starts the group, which the test is to end.
func (r *rig) run(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := r.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.addrs = r.Addrs()
	go func() { r.result <- r.Run(ctx) }()
}

func (r *rig) wait(t *testing.T) error {
	t.Helper()
	return receive(t, r.result)
}

// answer is a response that was read.
type answer struct {
	status  int
	closing bool // says Connection: close
	header  http.Header
	body    string
}

func newAnswer(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Close, resp.Header, strings.TrimSpace(string(body))}, err
}

// get asks a service on a connection of its own.
func (r *rig) get(t *testing.T, service, path string) answer {
	t.Helper()
	a, err := fetch("http://" + r.addrs[service] + path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fetch(url string) (answer, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return answer{}, err
	}
	return newAnswer(resp)
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func refuses(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// logBuffer collects what is logged by several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// journal holds what happened, in order.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) add(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

func (j *journal) close(event string) func() error {
	return func() error { j.add(event); return nil }
}

// holding answers /held once released, and anything else at once.
type holding struct{ began, release chan struct{} }

func newHolding() holding { return holding{make(chan struct{}), make(chan struct{})} }

func (h holding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/held" {
		close(h.began)
		select {
		case <-h.release:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = io.WriteString(w, "done")
}

// hold sends the request that is held, and returns once it is. Its answer is the zero answer if it is cut off.
func (r *rig) hold(t *testing.T, h holding) <-chan answer {
	t.Helper()
	held := make(chan answer, 1)
	go func() {
		a, _ := fetch("http://" + r.addrs["sender"] + "/held")
		held <- a
	}()
	receive(t, h.began)
	return held
}
