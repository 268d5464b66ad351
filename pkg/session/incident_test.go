package session_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/pkg/session"
)

// TestReuseIsSeenAmongManyAtOnce is named after CVE-2026-1035, in which looking for reuse and rotating were two steps: whoever
// presented a used token at the right moment came through.
func TestReuseIsSeenAmongManyAtOnce(t *testing.T) {
	const each = 8
	r := newRig(t)
	s, used := r.mustStart(t)
	current := r.mustRefresh(t, r.mustRefresh(t, used))

	var next [each]string
	var all sync.WaitGroup
	for i := range next {
		all.Go(func() {
			if _, _, err := r.Refresh(t.Context(), used); !errors.Is(err, session.ErrInvalidToken) {
				t.Errorf("the used token: %v, want ErrInvalidToken", err)
			}
		})
		all.Go(func() {
			_, token, err := r.Refresh(t.Context(), current)
			if err != nil && !errors.Is(err, session.ErrInvalidToken) {
				t.Error(err)
			}
			next[i] = token.Reveal()
		})
	}
	all.Wait()

	successor := ""
	for _, token := range next {
		if successor == "" {
			successor = token
		}
		if token != "" && token != successor {
			t.Error("the family forked")
		}
	}
	for _, token := range []string{used, current, successor} {
		if _, _, err := r.Refresh(t.Context(), token); !errors.Is(err, session.ErrInvalidToken) {
			t.Errorf("a token of the session, afterwards: %v, want ErrInvalidToken", err)
		}
	}
	if _, err := r.Live(t.Context(), s.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the session, afterwards: %v, want ErrNotFound", err)
	}
}
