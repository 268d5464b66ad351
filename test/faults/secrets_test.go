package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// TestSecretsFile spoils the file of signing keys of sender and receiver in every way while clients ask. The keys in use stay in use, the
// operator is told, nobody's request fails, and a good file is taken at once.
func TestSecretsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ring := program.Keyring("k1")
	good := []byte(ring["SIGNING_KEYS"])
	file := filepath.Join(dir, "SIGNING_KEYS")
	put := func(t *testing.T, content []byte) {
		t.Helper()
		if err := os.WriteFile(file+"~", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	}
	put(t, good)
	n := newTrioWith(t, ring, program.Settings{"SIGNING_KEYS": "", "SECRETS_DIR": dir})
	clients := n.startLoad(4, 10*time.Millisecond)
	clients.goOn(50)

	tests := []struct {
		name  string
		spoil func(t *testing.T)
	}{
		{"cut short", func(t *testing.T) { t.Helper(); put(t, good[:len(good)/2]) }},
		{"empty", func(t *testing.T) { t.Helper(); put(t, nil) }},
		{"binary", func(t *testing.T) { t.Helper(); put(t, []byte("\x7fELF\x00\xff\xfe\x01")) }},
		{"other JSON", func(t *testing.T) { t.Helper(); put(t, []byte(`["k1"]`)) }},
		{"short secrets", func(t *testing.T) { t.Helper(); put(t, []byte(`{"k1":"short"}`)) }},
		{"a link to itself, which nobody can read", func(t *testing.T) {
			t.Helper()
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(file, file); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spoil(t)
			for _, p := range []*program.Process{n.sender, n.receiver} {
				program.Eventually(t, "the "+p.Service+" refuses the file", func() bool { return p.Metric("provisioner_reload_failed") == 1 })
				if !strings.Contains(p.Output(), "reload failed") {
					t.Errorf("the %s does not log it", p.Service)
				}
			}
			clients.goOn(50)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			put(t, good)
			for _, p := range []*program.Process{n.sender, n.receiver} {
				program.Eventually(t, "the "+p.Service+" takes the good file", func() bool { return p.Metric("provisioner_reload_failed") == 0 })
			}
			clients.goOn(50)
		})
	}
	clients.stop()
	clients.check(t, n.database())
	if requests, failed := clients.counts(); failed > 0 {
		t.Errorf("%d of %d requests failed", failed, requests)
	}
}
