package vectors_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/npm"
	"github.com/provisioner/provisioner/test/vectors"
)

// line is what check.mjs says of a vector that fits.
type line struct{ File, Name, Kind string }

// TestNode has the plain clients in Node run every vector of every file of the directory.
func TestNode(t *testing.T) {
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("%q are not the files that are run: %v", files, err)
	}

	cmd := npm.Command(t, "vectors", "check.mjs")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node check.mjs: %v\n%s", err, &stderr)
	}
	var got []line
	for in := json.NewDecoder(bytes.NewReader(out)); in.More(); {
		var l line
		if err := in.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if diff := cmp.Diff(all(t), got); diff != "" {
		t.Errorf("what Node ran (-want +got):\n%s", diff)
	}
}

func all(t *testing.T) []line {
	t.Helper()
	return slices.Concat(lines[vectors.Signing](t, "signing.json"), lines[vectors.Call](t, "retries.json"),
		lines[vectors.Timestamp](t, "timestamps.json"), lines[vectors.Session](t, "tokens.json"))
}

func lines[V interface{ ID() vectors.Named }](t *testing.T, file string) []line {
	t.Helper()
	var out []line
	for _, v := range vectors.Load[V](t, file) {
		out = append(out, line{file, v.ID().Name, v.ID().Kind})
	}
	return out
}

// TestTheReadmeNamesEveryKind keeps README.md the description of the format.
func TestTheReadmeNamesEveryKind(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all(t) {
		if !strings.Contains(string(page), "`"+l.File+"`") || !strings.Contains(string(page), "`"+l.Kind+"`") {
			t.Errorf("README.md says nothing of %s, kind %s", l.File, l.Kind)
		}
	}
}
