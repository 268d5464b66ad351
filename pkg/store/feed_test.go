package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/revocation"
)

// wire is a notifier's way to other replicas.
type wire struct {
	mu       sync.Mutex
	payloads []string
	open     chan struct{} // a message passes for each value, all do when it is closed
	broken   bool
}

func (w *wire) send(ctx context.Context, payload string) error {
	select {
	case <-w.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return errors.New("connection refused")
	}
	w.payloads = append(w.payloads, payload)
	return nil
}

func (w *wire) setBroken(broken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = broken
}

func lineOfSession(i int) string { return encodeNotice(noticeOfSession(i)) }

func noticeOfSession(i int) revocation.Notice {
	return revocation.Notice{Kind: revocation.Session, ID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)}
}

func TestNotifier(t *testing.T) {
	for _, row := range []struct {
		name     string
		pending  int // when the first message is on its way
		messages int
		last     int // notices in the last message; 0 for that of everything
	}{
		{"one", 0, 1, 1},
		{"what piled up goes together", 100, 2, 100},
		{"as much as one message holds", maxLines, 2, maxLines},
		{"more means everything", maxLines + 1, 2, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{open: make(chan struct{})}
				n := newNotifier(w.send)
				n.add(t.Context(), lineOfSession(0))
				synctest.Wait()
				for i := range row.pending {
					n.add(t.Context(), lineOfSession(i), lineOfSession(i))
				}
				close(w.open)
				n.close()

				if len(w.payloads) != row.messages {
					t.Fatalf("%d messages: %q", len(w.payloads), w.payloads)
				}
				last := w.payloads[len(w.payloads)-1]
				if len(last) >= 8000 {
					t.Errorf("a payload of %d bytes", len(last))
				}
				lines := strings.Split(last, "\n")
				if isAll := last == ""; isAll != (row.last == 0) || !isAll && len(lines) != row.last {
					t.Errorf("the last message: %q", lines)
				}
			})
		})
	}
}

func TestNotifierOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{open: make(chan struct{})}
		close(w.open)
		w.setBroken(true)
		n := newNotifier(w.send)
		n.add(t.Context(), lineOfSession(1))
		time.Sleep(notifyWithin - time.Second)
		w.setBroken(false)
		n.close()
		if len(w.payloads) != 1 {
			t.Errorf("after an outage: %q", w.payloads)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := &wire{} // nothing passes
		n := newNotifier(w.send)
		n.add(t.Context(), lineOfSession(1))
		start := time.Now()
		n.close()
		if took := time.Since(start); took > notifyWithin {
			t.Errorf("close waited for %s", took)
		}
	})
}

// A commit of which nobody heard what came may have revoked something.
func TestTell(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want bool
	}{
		{"what was done", nil, true},
		{"what may have been done when the database hung up", apierror.Unavailable(errors.New("connection reset")), true},
		{"what may have been done when the caller hung up", fmt.Errorf("revoke key: %w", context.Canceled), true},
		{"what was not done", errors.New("not found"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var db DB
			told := false
			db.Subscribe(func(n revocation.Notice) { told = n == noticeOfSession(1) })
			if err := db.tell(t.Context(), row.err, noticeOfSession(1)); !errors.Is(err, row.err) {
				t.Errorf("tell() = %v", err)
			}
			if told != row.want {
				t.Errorf("told: %v", told)
			}
		})
	}
}

func TestHear(t *testing.T) {
	all := revocation.Notice{}
	for payload, want := range map[string][]revocation.Notice{
		"":                      {all},
		"user 1":                {{Kind: revocation.User, ID: "1"}},
		"session 1\nkey 2":      {{Kind: revocation.Session, ID: "1"}, {Kind: revocation.Key, ID: "2"}},
		"planet 1\nuser 2":      {all, {Kind: revocation.User, ID: "2"}},
		`{"of": "later"}`:       {all},
		strings.Repeat("\n", 2): {all, all, all},
	} {
		var db DB
		var got []revocation.Notice
		db.Subscribe(func(n revocation.Notice) { got = append(got, n) })
		db.hear(revocationsChannel, payload)
		if !slices.Equal(got, want) {
			t.Errorf("revocations %q: %v, want %v", payload, got, want)
		}
	}

	for payload, want := range map[string][]string{
		"":               {""},
		"other\n":        {""},
		"other\nu1\nu2":  {"u1", "u2"},
		"other":          {""},
		"myself\nu1":     nil,
		"myself\n":       nil,
		"other\nmyself":  {"myself"},
		"myself2\nuser1": {"user1"},
	} {
		db := DB{dialect: dialect{sender: "myself"}}
		var got []string
		db.OnChange(func(userID string) { got = append(got, userID) })
		db.hear(changesChannel, payload)
		if !slices.Equal(got, want) {
			t.Errorf("changes %q: %q, want %q", payload, got, want)
		}
	}
}
