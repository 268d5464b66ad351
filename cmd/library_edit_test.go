package cmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// TestBooksActOnNoTerminal shows that not even an id does, which a server may have chosen.
func TestBooksActOnNoTerminal(t *testing.T) {
	var out bytes.Buffer
	c := &cobra.Command{}
	c.SetOut(&out)
	bad := "a\x1b[2J\u009b\u202eb"
	if err := sayBook(c, "removed", library.Book{ID: bad, Title: bad, Author: bad}, false); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b\u202e") {
		t.Errorf("said %q", out.String())
	}
}
