package requestid_test

import (
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/requestid"
)

func TestAccept(t *testing.T) {
	for id, kept := range map[string]bool{
		"a": true, "A-z_0.9": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a\n": false, "ü": false, "a/b": false,
	} {
		got := requestid.Accept(id)
		if (got == id) != kept || got == "" {
			t.Errorf("Accept(%q) = %q", id, got)
		}
	}
}

func TestContext(t *testing.T) {
	if got := requestid.From(requestid.With(t.Context(), "r1")); got != "r1" {
		t.Errorf("From() = %q", got)
	}
	if got := requestid.From(t.Context()); got != "" {
		t.Errorf("From() of a bare context = %q", got)
	}
}
