package faults_test

import (
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// badness is what happens to the link to a server, or to the server.
type badness struct {
	name  string
	begin func(s *system)
	end   func(s *system)
	lasts int  // requests
	whole bool // nothing may fail: the fault only costs time
}

// ofLink are the ways in which a link goes bad.
func ofLink(of func(s *system) *link) []badness {
	poison := func(kind string, attributes map[string]int) func(s *system) {
		return func(s *system) { of(s).poison(kind, attributes) }
	}
	mend := func(s *system) { of(s).mend() }
	return []badness{
		{"cut off", func(s *system) { of(s).cut() }, mend, 60, false},
		{"silent", poison("timeout", map[string]int{"timeout": 0}), mend, 10, false},
		{"reset", poison("reset_peer", map[string]int{"timeout": 0}), mend, 60, false},
		{"slow", poison("latency", map[string]int{"latency": 50, "jitter": 30}), mend, 60, true},
		{"narrow", poison("bandwidth", map[string]int{"rate": 64}), mend, 60, true},
	}
}

// play lets each fault happen while clients ask, and returns when they are served again.
func (s *system) play(t *testing.T, faults []badness) {
	t.Helper()
	for _, f := range faults {
		clients := s.startLoad(8)
		clients.goOn(100)
		_, before := clients.counts()
		f.begin(s)
		clients.goOn(f.lasts)
		f.end(s)
		ended := time.Now()
		clients.finish(s)
		_, after := clients.counts()
		t.Logf("%s: %d requests failed, the last %v after the end", f.name, after-before, clients.lastAfter(ended))
		if f.whole && after > before {
			t.Errorf("%s: %d requests failed", f.name, after-before)
		}
	}
}

// TestPostgres takes the database away in every way that a network has, and by a restart.
func TestPostgres(t *testing.T) {
	t.Parallel()
	s := newSystem(t, program.Settings{})
	faults := ofLink(func(s *system) *link { return s.toPostgres })
	faults = append(faults, badness{"restarted", func(s *system) { s.postgres.Stop() }, func(s *system) { s.postgres.Start() }, 60, false})
	s.play(t, faults)
}

// TestRedis takes the counters of the rate limits away. Nobody's request may fail for that.
func TestRedis(t *testing.T) {
	t.Parallel()
	s := newSystem(t, program.Settings{})
	faults := ofLink(func(s *system) *link { return s.toRedis })
	faults = append(faults, badness{"restarted", func(s *system) { s.redis.Stop() }, func(s *system) { s.redis.Start() }, 60, true})
	for i := range faults {
		faults[i].whole = true
	}
	s.play(t, faults)
}
