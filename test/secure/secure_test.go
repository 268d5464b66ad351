// Package secure_test shows that the checks of `make secure` find what they are for, and looks after the licences of what is linked in.
package secure_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlantedKeyIsFound commits a key, and deletes it in the next commit: the history keeps it, and the check finds it there.
func TestPlantedKeyIsFound(t *testing.T) {
	config, err := os.ReadFile("../../.gitleaks.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file, text string
		found            bool
	}{
		{"a token in the source", "cmd/serve.go", "const token = \"ghp_" + strings.Repeat("aB3dE6gH9", 4) + "\"\n", true},
		{"a private key in a test", "pkg/some_test.go", pem("RSA PRIVATE KEY"), true},
		{"nothing", "main.go", "package main\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, ".gitleaks.toml"), string(config))
			write(t, filepath.Join(dir, tt.file), tt.text)
			git(t, dir, "init", "-q")
			git(t, dir, "add", "-A")
			git(t, dir, "commit", "-qm", "planted")
			git(t, dir, "rm", "-q", tt.file)
			git(t, dir, "commit", "-qm", "deleted")
			if found := leaks(t, dir); found != tt.found {
				t.Errorf("found: %v, want %v", found, tt.found)
			}
		})
	}
}

// pem returns something of the form of a key. It stands in no file as a whole.
func pem(kind string) string {
	return "-----BEGIN " + kind + "-----\n" + strings.Repeat("MIIEowIBAAKCAQEAv5x8Qz1kT7d2\n", 6) + "-----END " + kind + "-----\n"
}

// leaks reports whether .ci/gitleaks fails in dir, for a finding.
func leaks(t *testing.T, dir string) bool {
	t.Helper()
	script, err := filepath.Abs("../../.ci/gitleaks")
	if err != nil {
		t.Fatal(err)
	}
	tools, err := filepath.Abs("../../.tools")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script)
	cmd.Dir, cmd.Env = dir, append([]string{"TOOLS=" + tools}, os.Environ()...) // where TOOLS is set, that counts
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "leaks found") {
		t.Fatalf("%v: run `make deps` if gitleaks is missing\n%s", err, out)
	}
	return err != nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com", "-C", dir}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}
