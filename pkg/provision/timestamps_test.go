package provision

import (
	"sync"
	"testing"
	"time"
)

func TestTimestampsOfEqualBodiesDiffer(t *testing.T) {
	stamps, now := newTimestamps(), time.UnixMilli(1700000000000)
	const bodies = 1000
	given := make([]time.Time, bodies)
	var all sync.WaitGroup
	for i := range bodies {
		all.Go(func() { given[i] = stamps.next(now, []byte("equal")) })
	}
	all.Wait()

	seen := map[int64]bool{}
	for _, at := range given {
		if seen[at.UnixMilli()] || at.Before(now) || at.Sub(now) >= bodies*time.Millisecond {
			t.Fatalf("%v was given twice, or is too far from now", at)
		}
		seen[at.UnixMilli()] = true
	}
	if got := stamps.next(now, []byte("another")); !got.Equal(now) {
		t.Errorf("another body: %v, want now", got)
	}
	if got := stamps.next(now.Add(generation*time.Millisecond), []byte("equal")); got.Sub(now) != generation*time.Millisecond {
		t.Errorf("a second later: %v after the first", got.Sub(now))
	}
}

func TestTimestampsFollowAClockThatIsSetBack(t *testing.T) {
	stamps, now := newTimestamps(), time.UnixMilli(1700000000000)
	stamps.next(now.Add(10*time.Minute), []byte("equal"))
	for i := range 3 {
		if got, want := stamps.next(now, []byte("equal")), now.Add(time.Duration(i)*time.Millisecond); !got.Equal(want) {
			t.Errorf("time %d after the clock was set back: %v, want %v", i+1, got, want)
		}
	}
}

func TestTimestampsForget(t *testing.T) {
	stamps, now := newTimestamps(), time.UnixMilli(1700000000000)
	for second := range 10 {
		for i := range 100 {
			stamps.next(now.Add(time.Duration(second)*time.Second), []byte{byte(second), byte(i)})
		}
	}
	if n := len(stamps.current) + len(stamps.previous); n > 200 {
		t.Errorf("%d bodies are remembered, want those of the last two seconds", n)
	}
}
