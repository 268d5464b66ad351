package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provisioner/provisioner/pkg/audit"
)

var noon = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// store keeps entries in memory.
type store struct {
	audit.Store
	mu      sync.Mutex
	entries []audit.Entry
	err     error
}

func (s *store) AppendAudit(_ context.Context, entries ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.entries = append(s.entries, entries...)
	}
	return s.err
}

// counts returns how many of each kind the entries stand for.
func (s *store) counts() map[audit.Kind]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[audit.Kind]int{}
	for _, e := range s.entries {
		n[e.Kind] += e.Count
	}
	return n
}

func newRefusals(s *store) *audit.Refusals {
	return audit.NewRefusals(s, slog.New(slog.DiscardHandler))
}

func TestNewTakesTheOriginOfTheRequest(t *testing.T) {
	ctx := audit.WithOrigin(t.Context(), audit.Origin{Network: "192.0.2.1", RequestID: "r1"})
	want := audit.Entry{At: noon, Kind: audit.SignedIn, UserID: "u1", Network: "192.0.2.1", RequestID: "r1", Count: 1}
	if diff := cmp.Diff(want, audit.New(ctx, noon, audit.SignedIn, "u1")); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	want.Network, want.RequestID = "", ""
	if diff := cmp.Diff(want, audit.New(t.Context(), noon, audit.SignedIn, "u1")); diff != "" {
		t.Errorf("of a command (-want +got):\n%s", diff)
	}
}

func TestRefusalsAreTakenTogether(t *testing.T) {
	refusal := func(at time.Duration, kind audit.Kind, user, network, request string) audit.Entry {
		return audit.Entry{At: noon.Add(at), Kind: kind, UserID: user, Network: network, RequestID: request, Count: 1}
	}
	s := &store{}
	r := newRefusals(s)
	for _, e := range []audit.Entry{
		refusal(0, audit.SignInRefused, "u1", "192.0.2.1", "r1"),
		refusal(time.Second, audit.SignInRefused, "u1", "192.0.2.1", "r2"),
		refusal(time.Minute-time.Nanosecond, audit.SignInRefused, "u1", "192.0.2.1", "r3"),
		refusal(time.Minute, audit.SignInRefused, "u1", "192.0.2.1", "r4"),
		refusal(0, audit.SignInRefused, "u2", "192.0.2.1", "r5"),
		refusal(0, audit.SignInRefused, "u1", "192.0.2.2", "r6"),
		refusal(0, audit.PasswordRefused, "u1", "192.0.2.1", "r7"),
	} {
		r.Add(e)
	}
	r.Flush(t.Context())
	r.Flush(t.Context()) // nothing is left

	entry := func(at time.Duration, kind audit.Kind, user, network string, count int) audit.Entry {
		return audit.Entry{At: noon.Add(at), Kind: kind, UserID: user, Network: network, Count: count}
	}
	want := []audit.Entry{
		entry(0, audit.SignInRefused, "u1", "192.0.2.1", 3),
		entry(time.Minute, audit.SignInRefused, "u1", "192.0.2.1", 1),
		entry(0, audit.SignInRefused, "u2", "192.0.2.1", 1),
		entry(0, audit.SignInRefused, "u1", "192.0.2.2", 1),
		entry(0, audit.PasswordRefused, "u1", "192.0.2.1", 1),
	}
	sorted := cmpopts.SortSlices(func(a, b audit.Entry) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if diff := cmp.Diff(want, s.entries, sorted); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// TestAFloodOfRefusals holds that neither memory nor disk grow with it, and that nothing goes uncounted.
func TestAFloodOfRefusals(t *testing.T) {
	const known, flood = 10_000, 12_345
	s := &store{err: errors.New("no answer")}
	r := newRefusals(s)
	add := func() {
		for i := range flood {
			r.Add(audit.Entry{At: noon, Kind: audit.SignInRefused, Network: fmt.Sprint(i), Count: 1})
		}
	}
	add()
	r.Flush(t.Context()) // fails: all of it waits
	add()                // the same again, and more that are not told apart
	for i := range 10 {
		r.Add(audit.Entry{At: noon, Kind: audit.SignInRefused, Network: fmt.Sprint("another ", i), Count: 1})
	}
	s.err = nil
	r.Flush(t.Context())

	if len(s.entries) > known+1 {
		t.Errorf("%d entries, want at most %d and one for the rest", len(s.entries), known)
	}
	n := s.counts()
	if total := n[audit.SignInRefused] + n[audit.RefusalsOverflow]; total != 2*flood+10 {
		t.Errorf("%d refusals are told of, %d were made", total, 2*flood+10)
	}
	if apart := n[audit.SignInRefused]; apart < known {
		t.Errorf("only %d are told apart", apart)
	}
}

func TestWhatCannotBeWrittenWaits(t *testing.T) {
	var out bytes.Buffer
	s := &store{err: errors.New("no answer")}
	r := audit.NewRefusals(s, slog.New(slog.NewTextHandler(&out, nil)))
	for range 3 {
		r.Add(audit.Entry{At: noon, Kind: audit.SignInRefused, UserID: "u1", Count: 1})
		r.Flush(t.Context())
	}
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("three failures are %d lines of log:\n%s", got, out.String())
	}
	s.err = nil
	r.Flush(t.Context())
	want := []audit.Entry{{At: noon, Kind: audit.SignInRefused, UserID: "u1", Count: 3}}
	if diff := cmp.Diff(want, s.entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestRunWritesEverySecondAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		r := newRefusals(s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()

		r.Add(audit.Entry{At: noon, Kind: audit.SignInRefused, Count: 1})
		time.Sleep(time.Second) // fake time
		synctest.Wait()
		if n := s.counts()[audit.SignInRefused]; n != 1 {
			t.Errorf("after a second %d are written", n)
		}
		r.Add(audit.Entry{At: noon, Kind: audit.SignInRefused, Count: 1})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := s.counts()[audit.SignInRefused]; n != 2 {
			t.Errorf("in the end %d are written", n)
		}
	})
}
