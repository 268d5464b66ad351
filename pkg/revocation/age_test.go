package revocation

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// silent is a Feed that is up and says nothing.
type silent struct{}

func (silent) Subscribe(func(Notice)) {}
func (silent) Up() bool               { return true }

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string](silent{}, func(Notice, string) bool { return false })
		defer c.values.StopAllGoroutines()
		loads := 0
		get := func() {
			t.Helper()
			_, err := c.Get(t.Context(), "s1", func(context.Context) (string, error) { loads++; return "", nil })
			if err != nil {
				t.Fatal(err)
			}
		}

		get()
		time.Sleep(MaxAge - time.Second) // fake time
		get()
		if loads != 1 {
			t.Errorf("%d loads within MaxAge", loads)
		}
		time.Sleep(2 * time.Second) // fake time
		get()
		if loads != 2 {
			t.Errorf("%d loads: a notice that was lost is never made up for", loads)
		}
	})
}
