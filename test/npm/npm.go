// Package npm runs what tests have from npm: scripts of the modules under test/, each with the libraries that its
// package-lock.json pins and `make deps` installs. It does not know what the scripts do.
package npm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
)

// Serve runs a script of a module until t ends, with env beside what [Command] gives it, and returns when ready returns nil.
// At the end the script gets SIGTERM; what it printed is shown if t failed.
func Serve(t testing.TB, module, script string, env []string, ready func() error) *daemon.Daemon {
	t.Helper()
	cmd := Command(t, module, script)
	cmd.Env = append(cmd.Env, env...)
	process, err := daemon.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s: %s", script, process.Output())
		}
	})
	if err := process.Await(ready); err != nil {
		t.Fatalf("%v: run `make deps` if it misses a library", err)
	}
	return process
}

// Command prepares a script of a module, with nothing of the test's environment but PATH. It runs in the Node that the module pins,
// if it pins one, else in that of PATH.
func Command(t testing.TB, module, script string, args ...string) *exec.Cmd {
	t.Helper()
	dir := Dir(t, module)
	node := "node"
	pinned, err := filepath.Glob(filepath.Join(dir, "node_modules/node-*/bin/node")) // npm installs the one for the platform
	if err != nil {
		t.Fatal(err)
	}
	if len(pinned) == 1 {
		node = pinned[0]
	}
	cmd := exec.Command(node, append([]string{script}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TZ=UTC"}
	return cmd
}

// Dir returns the directory of a module, test/<module>.
func Dir(t testing.TB, module string) string {
	t.Helper()
	dir, err := Find(module)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Find is [Dir] for those who are no test. The directory is found from the root of the repository: a test runs in its own
// package's.
func Find(module string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "test", module), nil
		}
	}
	return "", errors.New("no go.mod above the working directory")
}
