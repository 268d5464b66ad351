package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// TestFullDisk fills the file system of a SQLite database while clients ask. They are told so, nothing is acknowledged that is not
// there, the database stays whole, and when there is room again all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := newFileSystem(t, "size=24m")
	p := program.Start(t, "all", program.Settings{
		"DATA_DIR": filepath.Join(dir, "data"), "LOG_LEVEL": "info", "TIERS": `[{"name":"new","keys":1000000,"per_minute":1000000}]`,
	}.With(program.Keyring("k1")))
	database := filepath.Join(dir, "data", "provisioner.db")
	clients := startLoad(t, allOf(p, p.Env.Key("k1")), 8, 0)
	clients.goOn(100)

	for range 2 {
		ballast := fill(t, dir)
		_, before := clients.counts()
		program.Eventually(t, "a hundred requests are refused", func() bool {
			_, failed := clients.counts()
			return failed >= before+100
		})
		if whole := counts(t, database, integrity); whole["ok"] != 1 {
			t.Errorf("while the disk is full: %v", whole)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		room := time.Now()
		clients.recover()
		t.Logf("the last refusal came %v after there was room again", clients.lastAfter(room))
		clients.goOn(100)
	}
	clients.stop()
	// A key whose claim still found room, and the key itself none, is the receiver's 502 for a provider in trouble. A claim that there is no
	// room to give up either lasts as long as its lease: the next try waits for it in vain.
	ofKeys := []string{"502 PROVISION_ERROR", "504 PROVISION_TIMEOUT"}
	for outcome := range clients.outcomes {
		if !strings.HasPrefix(outcome, "503 ") && !slices.Contains(ofKeys, outcome) {
			t.Errorf("clients were told %s, want a 503", outcome)
		}
	}
	clients.check(t, database)
	if whole := counts(t, database, integrity); whole["ok"] != 1 {
		t.Errorf("afterwards: %v", whole)
	}
}

// integrity asks SQLite whether the database is whole: "ok".
const integrity = `SELECT integrity_check, 1 FROM pragma_integrity_check`

// newFileSystem mounts a file system of its own until t ends.
func newFileSystem(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mount a small file system, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file in dir until there is no room for another byte, and returns its path.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2] // what is left is smaller
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return path
}
