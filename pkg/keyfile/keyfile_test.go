package keyfile_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/keyfile"
	"github.com/provisioner/provisioner/pkg/secret"
)

func random() (secret.Text, error) { return secret.New(uuid.NewString()), nil }

func TestLoadOrCreateKeepsTheFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	keys := make([]string, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := keyfile.LoadOrCreate(dir, "seal.key", random)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key.Reveal()
		})
	}
	all.Wait()

	for _, key := range keys {
		if key == "" || key != keys[0] {
			t.Fatalf("processes that start at once have different keys: %q", keys)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "seal.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoadOrCreateRefuses(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"a file that others can read": func(path string) error { return os.WriteFile(path, []byte("known"), 0o644) },
		"an empty file":               func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a directory":                 func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := prepare(filepath.Join(dir, "k")); err != nil {
				t.Fatal(err)
			}
			if key, err := keyfile.LoadOrCreate(dir, "k", random); err == nil {
				t.Errorf("LoadOrCreate() = %d bytes, no error", key.Len())
			}
		})
	}
}
