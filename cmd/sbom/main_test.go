package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestRun lists the modules of the test's own binary.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"-version", "1.2.3", self}, out); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same binary gives another list")
	}
	for _, want := range []string{
		`"specVersion": "1.6"`, `"purl": "pkg:golang/github.com/provisioner/provisioner@1.2.3"`, `"purl": "pkg:golang/std@1.`,
		`"purl": "pkg:golang/github.com/CycloneDX/cyclonedx-go@v`,
	} {
		if strings.Count(first.String(), want) != 1 {
			t.Errorf("the list does not have %s once:\n%s", want, first.String())
		}
	}
}

func TestRunRefuses(t *testing.T) {
	text := t.TempDir() + "/text"
	if err := os.WriteFile(text, []byte("no binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"no version", "usage:", []string{text}},
		{"no binary", "usage:", []string{"-version", "1.2.3"}},
		{"a file that is no binary", "unrecognized file format", []string{"-version", "1.2.3", text}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := run(tt.args, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run(%v) = %v, want %q", tt.args, err, tt.want)
			}
		})
	}
}
