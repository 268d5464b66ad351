// Package program runs the real program as processes: its services, which a test can kill and start again, and its commands.
// It knows their settings and their admin port, and nothing of what they answer to clients.
package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
)

// build is done once; the directory that it is in ends with the test binary.
var build = sync.OnceValues(func() (*built, error) {
	dir, err := daemon.NewDir("provisioner-program-")
	if err != nil {
		return nil, err
	}
	b := &built{dir: dir, path: filepath.Join(dir.Path, "provisioner")}
	compile := exec.Command("go", "build", "-o", b.path, "github.com/provisioner/provisioner")
	if out, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return b, nil
})

type built struct {
	path string
	dir  *daemon.Dir // held on to: the directory ends with it
}

// Path returns where the program is, which is built first.
func Path() (string, error) {
	b, err := build()
	if err != nil {
		return "", err
	}
	return b.path, nil
}

// Command prepares the program with the arguments, to run in dir with s as its whole environment.
func Command(t testing.TB, dir string, s Settings, args ...string) *exec.Cmd {
	t.Helper()
	path, err := Path()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = dir, s.Environ()
	return cmd
}
