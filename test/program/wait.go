package program

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// Eventually polls until condition holds; t fails if that takes longer than [Patience].
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(Patience)
	for !condition() {
		select {
		case <-timeout:
			t.Fatalf("not so after %v: %s", Patience, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
