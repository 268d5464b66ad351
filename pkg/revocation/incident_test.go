package revocation_test

import (
	"errors"
	"strconv"
	"testing"
)

// TestCacheIsBounded is named after CVE-2025-2559, in which every token that was ever shown stayed in memory until it expired.
func TestCacheIsBounded(t *testing.T) {
	const shown, room = 15_000, 10_000
	c := newCache(&feed{})
	s := &source{}
	for i := range shown {
		if _, err := c.Get(t.Context(), strconv.Itoa(i), s.load); err != nil {
			t.Fatal(err)
		}
	}
	s.loads, s.err = 0, errors.New("not to be remembered")
	for i := range shown {
		_, _ = c.Get(t.Context(), strconv.Itoa(i), s.load) // counts
	}
	if remembered := shown - s.loads; remembered > room+room/10 { // some are on their way out
		t.Errorf("%d of %d values are remembered, want %d", remembered, shown, room)
	}
}
