package library

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/powersync"
	server "github.com/provisioner/provisioner/pkg/library"
)

// TestSchemaIsWhatServersSend compares the schema with the table of the server.
func TestSchemaIsWhatServersSend(t *testing.T) {
	types := map[server.Kind]powersync.Type{
		server.Text: powersync.Text, server.Integer: powersync.Integer, server.Real: powersync.Real, server.Boolean: powersync.Integer,
		server.Time: powersync.Text, server.List: powersync.Text, server.Object: powersync.Text,
	}
	want := []powersync.Column{{Name: server.Books.Key, Type: powersync.Text}, {Name: server.Books.Owner, Type: powersync.Text}}
	for _, c := range server.Books.Columns {
		want = append(want, powersync.Column{Name: c.Name, Type: types[c.Kind]})
	}
	if diff := cmp.Diff(want, Schema()[0].Columns); diff != "" {
		t.Errorf("the columns differ (-want +got):\n%s", diff)
	}
}

// TestSchemaIsThatOfTheSDK compares the schema with that of the tests' devices of PowerSync's SDK, with which this one shares an account.
func TestSchemaIsThatOfTheSDK(t *testing.T) {
	text, err := os.ReadFile("../../../test/powersync/device.mjs")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "books: new Table({")
	inside, _, _ := strings.Cut(after, "})")
	var want []powersync.Column
	for _, m := range regexp.MustCompile(`(\w+): (text|integer|real)`).FindAllStringSubmatch(inside, -1) {
		want = append(want, powersync.Column{Name: m[1], Type: powersync.Type(strings.ToUpper(m[2]))})
	}
	if diff := cmp.Diff(want, Schema()[0].Columns); diff != "" {
		t.Errorf("the columns differ (-want +got):\n%s", diff)
	}
}
