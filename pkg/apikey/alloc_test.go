//go:build !race

package apikey_test

import (
	"errors"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/apikey"
)

func TestMalformedTokensAllocateNothing(t *testing.T) {
	s := apikey.New(apikey.Config{Prefix: prefix, Now: time.Now, Feed: &feed{}})
	ctx := t.Context()
	for name, token := range map[string]string{
		"garbage": "garbage", "another prefix": "sk_t_" + digits, "a capital digit at the end": prefix + digits[1:] + "A",
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			allocations := testing.AllocsPerRun(100, func() { _, err = s.Verify(ctx, token) })
			if !errors.Is(err, apikey.ErrMalformed) || allocations != 0 {
				t.Errorf("Verify() = %v with %v allocations, want ErrMalformed with none", err, allocations)
			}
		})
	}
}
