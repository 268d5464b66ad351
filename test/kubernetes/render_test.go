package kubernetes_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/test/kubernetes"
)

var rendered sync.Map // by installation

// render returns the manifests of an installation, which are rendered once.
func render(t *testing.T, installation string) []byte {
	t.Helper()
	if text, ok := rendered.Load(installation); ok {
		return text.([]byte)
	}
	text := kubernetes.Render(t, installation)
	rendered.Store(installation, text)
	return text
}

// TestNothingIsInstalledWithoutSecrets renders the installations as they are in the repository.
func TestNothingIsInstalledWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	if err := kubernetes.CopyConfig(dir); err != nil {
		t.Fatal(err)
	}
	for _, installation := range kubernetes.Installations {
		_, err := kubernetes.Build(filepath.Join(dir, "config/kubernetes", installation))
		if err == nil || !strings.Contains(err.Error(), "secrets/SIGNING_KEYS") {
			t.Errorf("%s: %v, want a missing secrets/SIGNING_KEYS", installation, err)
		}
	}
}
