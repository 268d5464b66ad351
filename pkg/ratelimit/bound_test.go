//go:build !race

package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// TestManyKeys floods a Memory with keys: it forgets some, and does not keep them all.
func TestManyKeys(t *testing.T) {
	const flood = 250_000
	once := ratelimit.Limit{Count: 1, Period: time.Hour}
	m, _ := newMemory()
	for i := range flood {
		mustTake(t, m, fmt.Sprint(i), once, 1)
	}
	kept := 0
	for i := 0; i < flood; i += 10 { // a look brings a forgotten key back: every tenth is too few to push others out
		if d := mustTake(t, m, fmt.Sprint(i), once, 0); !d.Allowed {
			kept += 10
		}
	}
	if kept == 0 || kept > 150_000 {
		t.Errorf("about %d of %d keys are kept", kept, flood)
	}
}
