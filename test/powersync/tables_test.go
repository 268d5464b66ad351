package powersync_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/library"
)

// TestEveryTableIsConfigured holds the PowerSync Service's configuration to the synced tables: each has its stream, with the columns in
// the order of our own, and is in the publication and the grant. The service must send what we send.
func TestEveryTableIsConfigured(t *testing.T) {
	rules, source := words(t, "sync-config.yaml"), words(t, "source.sql")
	var names []string
	for _, table := range library.Tables {
		names = append(names, table.Name)
		columns := []string{table.Key + " AS id", table.Key, table.Owner}
		for _, c := range table.Columns {
			columns = append(columns, c.Name)
		}
		stream := table.Stream() + ": auto_subscribe: true priority: 1 query: >- SELECT " + strings.Join(columns, ", ") +
			" FROM " + table.Name + " WHERE " + table.Owner + "::text = auth.user_id()"
		if !strings.Contains(rules+" ", stream+" ") {
			t.Errorf("sync-config.yaml lacks the stream of %s:\n%s", table.Name, stream)
		}
	}
	tables := strings.Join(names, ", ")
	for _, statement := range []string{
		"ALTER PUBLICATION powersync SET TABLE " + tables + ";", "GRANT SELECT ON " + tables + " TO powersync_replication;",
	} {
		if !strings.Contains(source, statement) {
			t.Errorf("source.sql lacks\n%s", statement)
		}
	}
}

var comment = regexp.MustCompile(`(?m)(^|\s)(#|--).*$`)

// words returns a file of the configuration without comments, its words with one space between.
func words(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../../config/powersync/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(comment.ReplaceAllString(string(text), "")), " ")
}
