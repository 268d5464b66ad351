//go:build unix

package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOnlyFilesOfTheDirectoryAreRead shows that a link does not lead out, and a pipe does not hold it up.
func TestOnlyFilesOfTheDirectoryAreRead(t *testing.T) {
	outside, dir := filepath.Join(t.TempDir(), "secret.epub"), t.TempDir()
	good := epub(t, metadata(`<dc:title>Secret</dc:title>`))
	if err := os.WriteFile(outside, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.epub")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.epub"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "directory.epub"), 0o700); err != nil {
		t.Fatal(err)
	}
	found := findIn(t, dir)
	if err := found["link.epub"].Err; err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Errorf("the link: %v", err)
	}
	if err := found["pipe.epub"].Err; err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("the pipe: %v", err)
	}
	if len(found) != 2 {
		t.Errorf("%d found, want the link and the pipe", len(found))
	}
}
