package syncstream_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

func TestLimits(t *testing.T) {
	streams := newStreams(newStore("u1", "u2", "u3"))
	open := func(userID string, want error) *syncstream.Stream {
		t.Helper()
		s, err := streams.Open(userID)
		if !errors.Is(err, want) {
			t.Fatalf("Open(%s) = %v, want %v", userID, err, want)
		}
		return s
	}
	first := open("u1", nil)
	open("u1", nil)
	open("u1", nil)
	open("u1", syncstream.ErrTooMany)
	second := open("u2", nil)
	open("u2", nil)
	open("u3", syncstream.ErrTooMany)
	if c := streams.Counts(); c.Open != 5 || c.Refused != 2 {
		t.Errorf("counted %+v", c)
	}

	first.Close()
	open("u1", nil)
	open("u1", syncstream.ErrTooMany)
	second.Close()
	open("u3", nil)
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore("u1")
		streams := newStreams(s)
		s.commit("u1", "user_books", many(5000)...)
		idle, slow := &device{}, &device{take: make(chan struct{})}
		idleEnded := listen(t.Context(), t, streams, "u1", syncstream.Request{After: map[string]int64{`1#user_books|0["u1"]`: 5000}}, idle)
		slowEnded := listen(t.Context(), t, streams, "u1", syncstream.Request{}, slow)
		idle.read(t)

		streams.Drain(5 * time.Second)
		streams.Drain(0) // again, which changes nothing
		if _, err := streams.Open("u1"); !errors.Is(err, syncstream.ErrDraining) {
			t.Errorf("Open() while draining = %v", err)
		}
		time.Sleep(5 * time.Second)
		s.commit("u1", "user_books", many(1)...)
		if len(idle.read(t)) == 0 {
			t.Error("before the end of the delay a stream is told of nothing")
		}
		if err := <-idleEnded; !errors.Is(err, syncstream.ErrDraining) {
			t.Errorf("the idle one ended with %v", err)
		}
		time.Sleep(2 * time.Second)
		close(slow.take) // it takes the line that it was at, and what it asks for after that it gets elsewhere
		if err := <-slowEnded; !errors.Is(err, syncstream.ErrDraining) {
			t.Errorf("the slow one ended with %v", err)
		}
		if n := len(slow.read(t)); n > 2 {
			t.Errorf("the slow one got %d lines more", n)
		}
	})
}

// TestSlowDevices has as many devices as there is room for take nothing of a long page: another hears of a change all the same.
func TestSlowDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := newStore("u1", "u2")
		s.commit("u1", "user_books", many(1000)...)
		streams := syncstream.New(syncstream.Config{
			Store: s, Changes: s, Definitions: userBooks, Max: 1000, MaxPerUser: 100, Now: time.Now,
		})
		stuck := &device{take: make(chan struct{})}
		for range 80 {
			listen(ctx, t, streams, "u1", syncstream.Request{}, stuck)
		}
		for range 80 { // each takes its checkpoint, and then nothing
			stuck.take <- struct{}{}
		}
		synctest.Wait()
		quick := &device{}
		listen(ctx, t, streams, "u2", syncstream.Request{}, quick)
		quick.read(t)
		s.commit("u2", "user_books", many(1)...)
		if got := heads(quick.read(t)); len(got) != 3 {
			t.Errorf("while others are slow, a device gets %q", got)
		}
		cancel()
		close(stuck.take)
	})
}

// stuckAtLong takes no long line.
type stuckAtLong struct {
	over    chan struct{} // closed when it takes them
	waiting atomic.Int64  // lines
}

func (d *stuckAtLong) Write(line []byte) (int, error) {
	if len(line) > 10_000 {
		d.waiting.Add(1)
		<-d.over
	}
	return len(line), nil
}

// TestSlowDevicesOfOneUser has one user's devices take nothing of what is large, be it many operations or one: another user's first sync
// goes on all the same, and only so many of the large ones are in memory.
func TestSlowDevicesOfOneUser(t *testing.T) {
	for name, ops := range map[string][]syncstream.Op{
		"many operations": many(1000),
		"a large one":     {put("a", strings.Repeat("a", 1<<20), 1)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := newStore("u1", "u2")
				s.commit("u1", "user_books", ops...)
				s.commit("u2", "user_books", many(1000)...)
				streams := syncstream.New(syncstream.Config{
					Store: s, Changes: s, Definitions: userBooks, Max: 1000, MaxPerUser: 100, Now: time.Now,
				})
				stuck := &stuckAtLong{over: make(chan struct{})}
				for range 80 {
					stream, err := streams.Open("u1")
					must(t, err)
					go func() {
						defer stream.Close()
						_ = stream.Run(ctx, &syncstream.Request{Expires: time.Now().Add(time.Hour)}, stuck)
					}()
				}
				synctest.Wait()
				if n := stuck.waiting.Load(); n > 4 {
					t.Errorf("%d large pages of one user are in memory", n)
				}
				quick := &device{}
				listen(ctx, t, streams, "u2", syncstream.Request{}, quick)
				if got := heads(quick.read(t)); len(got) < 3 {
					t.Errorf("while another's are slow, a device gets %q", got)
				}
				cancel()
				close(stuck.over)
			})
		})
	}
}

func TestStreamsShareTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := newStore("u1", "u2")
		streams := newStreams(s)
		a, b := &device{}, &device{}
		listen(ctx, t, streams, "u1", syncstream.Request{}, a)
		listen(ctx, t, streams, "u2", syncstream.Request{}, b)
		a.read(t)
		before := s.asked("u1") + s.asked("u2")
		s.tell("")
		synctest.Wait()
		if n := s.asked("u1") + s.asked("u2") - before; n != 2 {
			t.Errorf("a change of anybody's makes %d looks of 2 streams", n)
		}
	})
}
