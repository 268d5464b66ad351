package revocation_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/pkg/revocation"
)

// feed is a Feed that a test speaks through.
type feed struct {
	mu          sync.Mutex
	subscribers []func(revocation.Notice)
	down        bool
}

func (f *feed) Subscribe(g func(revocation.Notice)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers = append(f.subscribers, g)
}

func (f *feed) Up() bool { return !f.down }

func (f *feed) say(n revocation.Notice) {
	for _, g := range f.subscribers {
		g(n)
	}
}

// source is what values are loaded from.
type source struct {
	loads int
	err   error
	while func() // runs during a load
}

func (s *source) load(context.Context) (string, error) {
	s.loads++
	if s.while != nil {
		s.while()
	}
	return "of u1", s.err
}

func newCache(f revocation.Feed) *revocation.Cache[string, string] {
	return revocation.NewCache[string](f, func(n revocation.Notice, v string) bool {
		return n.Kind == revocation.User && "of "+n.ID == v
	})
}

func get(t *testing.T, c *revocation.Cache[string, string], s *source) {
	t.Helper()
	if v, err := c.Get(t.Context(), "s1", s.load); v != "of u1" || err != nil {
		t.Fatalf("Get() = %q, %v", v, err)
	}
}

func TestNotices(t *testing.T) {
	for _, tt := range []struct {
		name   string
		notice revocation.Notice
		loads  int // for a Get before and one after
	}{
		{"of the value forgets it at once", revocation.Notice{Kind: revocation.User, ID: "u1"}, 2},
		{"of another value keeps it", revocation.Notice{Kind: revocation.User, ID: "u2"}, 1},
		{"of another kind keeps it", revocation.Notice{Kind: revocation.Key, ID: "u1"}, 1},
		{"that some were missed forgets everything", revocation.Notice{}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, s := &feed{}, &source{}
			c := newCache(f)
			get(t, c, s)
			get(t, c, s)
			if s.loads != 1 {
				t.Fatalf("%d loads for two Gets", s.loads)
			}
			f.say(tt.notice)
			get(t, c, s)
			if s.loads != tt.loads {
				t.Errorf("%d loads, want %d", s.loads, tt.loads)
			}
		})
	}
}

func TestNothingIsRememberedWhileTheFeedIsDown(t *testing.T) {
	f, s := &feed{}, &source{}
	c := newCache(f)
	get(t, c, s)
	f.down = true
	get(t, c, s)
	get(t, c, s)
	if s.loads != 3 {
		t.Errorf("%d loads, want one for each Get while the feed is down", s.loads)
	}
	f.down = false
	f.say(revocation.Notice{}) // as a feed does that is back
	get(t, c, s)
	get(t, c, s)
	if s.loads != 4 {
		t.Errorf("%d loads: the cache is not back", s.loads)
	}
}

func TestALoadThatRacesWithANoticeIsNotRemembered(t *testing.T) {
	f := &feed{}
	c := newCache(f)
	s := &source{while: func() { f.say(revocation.Notice{Kind: revocation.User, ID: "u1"}) }}
	get(t, c, s)
	s.while = nil
	get(t, c, s)
	if s.loads != 2 {
		t.Errorf("%d loads: what was loaded before the notice is believed after it", s.loads)
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	c, s := newCache(&feed{}), &source{err: errors.New("no answer")}
	if _, err := c.Get(t.Context(), "s1", s.load); !errors.Is(err, s.err) {
		t.Errorf("Get() = %v", err)
	}
	s.err = nil
	get(t, c, s)
}
