package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/daemon"
)

func TestDrainLosesNothing(t *testing.T) {
	h, did := newHolding(), &journal{}
	r := newRig(t, h)
	r.Defer(did.close("store closed"))
	r.Defer(did.close("pool closed"))
	r.Go("purge", func(ctx context.Context) error { <-ctx.Done(); did.add("work ended"); return ctx.Err() })
	r.run(t.Context(), t)
	if a := r.get(t, "sender", "/"); a.status != http.StatusOK || a.closing {
		t.Errorf("before the drain: %d, closing: %t", a.status, a.closing)
	}
	held := r.hold(t, h)

	r.signals <- syscall.SIGTERM
	if d := receive(t, r.delays); d != time.Hour {
		t.Errorf("the delay is %v", d)
	}
	if a := r.get(t, "admin", "/readyz"); a.status != http.StatusServiceUnavailable || a.body != `{"status":"draining"}` {
		t.Errorf("/readyz while draining = %d %s", a.status, a.body)
	}
	if a := r.get(t, "admin", "/livez"); a.status != http.StatusOK || a.body != `{"status":"ok"}` {
		t.Errorf("/livez while draining = %d %s", a.status, a.body)
	}
	if a := r.get(t, "sender", "/"); a.status != http.StatusOK || !a.closing {
		t.Errorf("during the delay: %d, closing: %t", a.status, a.closing)
	}

	r.waited <- time.Now()
	eventually(t, "new connections are refused", func() bool { return refuses(r.addrs["sender"]) })
	did.add("answered")
	close(h.release)
	if a := receive(t, held); a.status != http.StatusOK || !a.closing || a.body != "done" {
		t.Errorf("the request in flight got %+v", a)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run() = %v", err)
	}
	want := []string{"answered", "work ended", "pool closed", "store closed"}
	if diff := cmp.Diff(want, did.events); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if !refuses(r.addrs["admin"]) {
		t.Error("the admin listener is still there")
	}
}

func TestInterruptDrainsAtOnce(t *testing.T) {
	h := newHolding()
	r := newRig(t, h)
	r.run(t.Context(), t)
	held := r.hold(t, h)

	r.signals <- syscall.SIGINT
	if d := receive(t, r.delays); d != 0 {
		t.Errorf("the delay is %v", d)
	}
	eventually(t, "new connections are refused", func() bool { return refuses(r.addrs["sender"]) })
	close(h.release)
	if a := receive(t, held); a.status != http.StatusOK || a.body != "done" {
		t.Errorf("the request in flight got %+v", a)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func TestSecondSignalReturnsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		signals []os.Signal
	}{
		{"during the delay", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}},
		{"while requests finish", []os.Signal{syscall.SIGINT, syscall.SIGINT}},
		{"a reload in between does not count", []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, did := newHolding(), &journal{}
			r := newRig(t, h)
			r.Defer(did.close("store closed"))
			r.run(t.Context(), t)
			held := r.hold(t, h)

			for _, s := range tt.signals {
				r.signals <- s
			}
			if err := r.wait(t); !errors.Is(err, ErrInterrupted) {
				t.Errorf("Run() = %v", err)
			}
			if a := receive(t, held); a.status != 0 {
				t.Errorf("the request in flight got %d", a.status)
			}
			if err := r.Close(); err != nil || len(did.events) > 0 {
				t.Errorf("Close() = %v, called %v", err, did.events)
			}
		})
	}
}

func TestDrainIsBounded(t *testing.T) {
	h := newHolding()
	stuck := make(chan struct{})
	defer close(stuck)
	r := newRig(t, h)
	r.timeouts.drain = 20 * time.Millisecond
	r.Go("stuck", func(context.Context) error { <-stuck; return nil })
	r.run(t.Context(), t)
	held := r.hold(t, h)

	r.signals <- syscall.SIGINT
	if err := r.wait(t); err != nil {
		t.Errorf("Run() = %v", err)
	}
	if a := receive(t, held); a.status != 0 {
		t.Errorf("the request in flight got %d", a.status)
	}
	for _, want := range []string{"requests cut off", "background work left behind"} {
		if !strings.Contains(r.logged.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, r.logged)
		}
	}
}

func TestRunEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		end  func(r *rig, cancel context.CancelFunc, fail chan<- error)
		want error
	}{
		{"with its context", func(_ *rig, cancel context.CancelFunc, _ chan<- error) { cancel() }, nil},
		{"with failed work", func(_ *rig, _ context.CancelFunc, fail chan<- error) { fail <- broken }, broken},
		{"with a failed listener", func(r *rig, _ context.CancelFunc, _ chan<- error) { _ = r.bound[1].socket.Close() }, net.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			fail, did := make(chan error), &journal{}
			r := newRig(t, http.NotFoundHandler())
			r.Defer(did.close("closed"))
			r.Go("short", func(context.Context) error { return nil })
			r.Go("purge", func(ctx context.Context) error {
				select {
				case err := <-fail:
					return err
				case <-ctx.Done():
					return nil
				}
			})
			r.run(ctx, t)
			r.get(t, "admin", "/livez")

			tt.end(r, cancel, fail)
			if err := r.wait(t); !errors.Is(err, tt.want) {
				t.Errorf("Run() = %v, want %v", err, tt.want)
			}
			if d := receive(t, r.delays); d != 0 || len(did.events) != 1 {
				t.Errorf("the delay is %v, closed: %v", d, did.events)
			}
		})
	}
}

func TestListenNamesEveryAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	did := &journal{}
	r := newRig(t, http.NotFoundHandler())
	r.Defer(did.close("closed"))
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	free := "127.0.0.1:" + strconv.Itoa(port)
	r.Add(Service{Name: "receiver", Addr: taken.Addr().String()})
	r.Add(Service{Name: "papyrus", Addr: "192.0.2.1:80"})
	r.Add(Service{Name: "free", Addr: free})

	err = r.Run(t.Context())
	for _, want := range []string{
		"RECEIVER_ADDR " + taken.Addr().String() + ": the address is in use: stop what listens there, or set RECEIVER_ADDR to another",
		"PAPYRUS_ADDR 192.0.2.1:80: this machine has no such address: set PAPYRUS_ADDR to one that it has",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run() = %v, want %q", err, want)
		}
	}
	if !refuses(free) {
		t.Error("a listener leaked")
	}
	if len(did.events) != 1 || len(r.Addrs()) != 0 {
		t.Errorf("closed: %v, addresses: %v", did.events, r.Addrs())
	}
}

func TestSlowHeadersAreCut(t *testing.T) {
	r := newRig(t, http.NotFoundHandler())
	r.timeouts.readHeader = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)
	c, err := net.Dial("tcp", r.addrs["sender"])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || len(answer) > 0 {
		t.Errorf("the connection said %q, %v", answer, err)
	}
	cancel()
	if err := r.wait(t); err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func TestSignals(t *testing.T) {
	signals, stop := Signals()
	defer stop()
	for _, want := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
		if err := syscall.Kill(os.Getpid(), want); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, signals); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestDrainIsTold(t *testing.T) {
	r, told := newRig(t, http.NotFoundHandler()), make(chan time.Duration, 1)
	r.OnDrain(func(delay time.Duration) { told <- delay })
	r.run(t.Context(), t)
	if err := r.Ready(t.Context()); err != nil {
		t.Errorf("Ready() = %v", err)
	}

	r.signals <- syscall.SIGTERM
	if d := receive(t, told); d != time.Hour {
		t.Errorf("the drain is told of a delay of %v", d)
	}
	if err := r.Ready(t.Context()); err == nil {
		t.Error("ready while draining")
	}
	receive(t, r.delays)
	r.waited <- time.Now()
	if err := r.wait(t); err != nil {
		t.Errorf("Run() = %v", err)
	}
}
