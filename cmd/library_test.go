package cmd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
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

// TestUploadsAreToldOf shows that a person knows which book it is, also where it is gone from the device.
func TestUploadsAreToldOf(t *testing.T) {
	var out bytes.Buffer
	tellUpload(&out, library.Upload{
		Transaction: powersync.Transaction{Mutations: []powersync.Mutation{
			{OpID: 1, ID: "a", Data: json.RawMessage(`{"title":"Emma\u001b[2J","author":"Jane Austen","is_favorite":0}`)},
			{OpID: 2, ID: "b", Data: json.RawMessage(`{"rating":9}`)},
			{OpID: 3, ID: "c"},
		}},
		Result: papyrus.UploadResult{
			Rejected: []papyrus.Rejected{{OpID: 1, Code: "FORBIDDEN", Message: "No.\u202e"}, {OpID: 3, Code: "C", Message: "M"}, {OpID: 9, Code: "C", Message: "M"}},
			Warnings: []papyrus.Warning{{OpID: 2, Field: "rating", Message: "is none"}},
		},
	})
	want := `the server rejected a change, which is undone: “Emma[2J” by Jane Austen: No. (FORBIDDEN)
the server rejected a change, which is undone: book c: M (C)
the server rejected a change, which is undone: a book: M (C)
the server left out a field: book b: rating is none
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("what is said differs (-want +got):\n%s", diff)
	}
}
