package revocation_test

import (
	"context"
	"strconv"
	"testing"
)

// TestCacheIsBounded is named after CVE-2025-2559, in which every token that was ever shown stayed in memory until it expired.
func TestCacheIsBounded(t *testing.T) {
	const shown, room = 50_000, 10_000
	c := newCache(&feed{})
	load := func(context.Context) (string, error) { return "of u1", nil }
	for i := range shown {
		if _, err := c.Get(t.Context(), strconv.Itoa(i), load); err != nil {
			t.Fatal(err)
		}
	}
	remembered := shown
	for i := range shown {
		if _, err := c.Get(t.Context(), strconv.Itoa(i), func(context.Context) (string, error) { remembered--; return "of u1", nil }); err != nil {
			t.Fatal(err)
		}
	}
	if remembered > 2*room { // those of the second round take places too
		t.Errorf("%d of %d values are remembered, want about %d", remembered, shown, room)
	}
}
