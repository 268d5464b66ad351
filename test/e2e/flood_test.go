package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// TestFloodOfSignIns has 1,000 connections sign in without a pause at a papyrus with 256 MiB and no rate limit. It is not killed; who
// is let in does not wait for long, the others are told when to come again, and the process is seen to be healthy all the time. The
// times that are promised hold on processors of its own; what fails here leaves room for others on the machine.
func TestFloodOfSignIns(t *testing.T) {
	const (
		connections, memory, took       = 1000, 256 << 20, 12 * time.Second
		admittedPromise, admittedBound  = 2 * time.Second, 5 * time.Second
		healthyPromise, unhealthyBeyond = 50 * time.Millisecond, 2 * time.Second
	)
	group, confined := newCgroup(t, memory)
	p := newProcess(t, "papyrus", program.Settings{"LOG_LEVEL": "info"})
	if confined {
		group.run(p)
	} else {
		p.Env["GOMEMLIMIT"] = strconv.Itoa(memory / 10 * 9)
		p.Start()
	}
	f := &flood{addr: p.Addr("papyrus")}
	f.last(took, connections, register(t, p.URL("papyrus")).credentials())

	t.Logf("from %d connections %d sign-ins a second, p50 %v, p99 %v (promised: %v), and %d refusals a second, p99 %v", connections,
		len(f.admitted)/int(took.Seconds()), percentile(f.admitted, 50), percentile(f.admitted, 99), admittedPromise,
		len(f.refused)/int(took.Seconds()), percentile(f.refused, 99))
	t.Logf("/health meanwhile: %d answers, p50 %v, p99 %v (promised: %v), at most %v",
		len(f.healthy), percentile(f.healthy, 50), percentile(f.healthy, 99), healthyPromise, percentile(f.healthy, 100))
	for text, n := range f.odd.Seen {
		t.Errorf("%d times: %s", n, text)
	}
	if p99 := percentile(f.admitted, 99); p99 > admittedBound || len(f.admitted) == 0 {
		t.Errorf("%d sign-ins, p99 %v, want %v", len(f.admitted), p99, admittedBound)
	}
	if p99 := percentile(f.healthy, 99); p99 > unhealthyBeyond || len(f.healthy) == 0 {
		t.Errorf("%d answers of /health, p99 %v, want %v", len(f.healthy), p99, unhealthyBeyond)
	}
	if err := p.Ready(); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	if confined {
		group.check(t)
		return
	}
	t.Logf("%.0f MiB resident at most, under GOMEMLIMIT alone: no control group can be made here", p.Memory("VmHWM")/1024)
	if peak := p.Memory("VmHWM"); peak > memory>>10 {
		t.Errorf("%.0f KiB resident at most, want %d", peak, memory>>10)
	}
}

// flood is connections that sign in as fast as they are answered, and one beside them that asks for /health.
type flood struct {
	addr  string
	ended chan struct{}

	mu                         sync.Mutex
	admitted, refused, healthy []time.Duration // how long the answers took, sorted in the end
	odd                        wire.Counter    // answers that are neither a sign-in nor a refusal for now
}

// last runs the flood for so long.
func (f *flood) last(d time.Duration, connections int, credentials string) {
	f.ended = make(chan struct{})
	var all sync.WaitGroup
	for range connections {
		all.Go(func() { f.signIn(credentials) })
	}
	all.Go(f.probe)
	<-time.After(d) // what is measured
	close(f.ended)
	all.Wait()
	for _, took := range [][]time.Duration{f.admitted, f.refused, f.healthy} {
		slices.Sort(took)
	}
}

// signIn signs in over one connection until the flood ends.
func (f *flood) signIn(credentials string) {
	f.repeat("POST /v1/auth/login", credentials, 0, func(a wire.Answer, took time.Duration) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); {
		case a.Status == http.StatusOK:
			keepTokens(a)
			f.admitted = append(f.admitted, took)
		case nested(a) == "503 SERVICE_UNAVAILABLE" && err == nil && seconds > 0:
			f.refused = append(f.refused, took)
		default:
			f.odd.Add(fmt.Sprintf("%v, Retry-After %q", a, a.Header.Get("Retry-After")))
		}
	})
}

// probe asks for /health over a connection of its own until the flood ends.
func (f *flood) probe() {
	f.repeat("GET /health", "", 10*time.Millisecond, func(a wire.Answer, took time.Duration) {
		f.healthy = append(f.healthy, took)
		if a.Status != http.StatusOK {
			f.odd.Add("/health: " + a.String())
		}
	})
}

// repeat makes a request over one connection until the flood ends, with a pause after each answer.
func (f *flood) repeat(route, body string, pause time.Duration, heard func(a wire.Answer, took time.Duration)) {
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.odd.Add(err.Error())
		return
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	request := fmt.Sprintf("%s HTTP/1.1\r\nHost: papyrus\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", route, len(body), body)
	for {
		began := time.Now()
		a, err := roundTrip(conn, in, request)
		if err != nil {
			f.odd.Add(err.Error())
			return
		}
		heard(a, time.Since(began))
		select {
		case <-f.ended:
			return
		case <-time.After(pause):
		}
	}
}

func roundTrip(conn net.Conn, in *bufio.Reader, request string) (wire.Answer, error) {
	if err := conn.SetDeadline(time.Now().Add(program.Patience)); err != nil {
		return wire.Answer{}, err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return wire.Answer{}, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Read(resp, "a request of a flood")
}

// percentile returns what so many percent of some sorted times do not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1].Round(100 * time.Microsecond)
}
