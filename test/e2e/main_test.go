// Package e2e_test runs the real program as processes against real servers, and shows what holds from end to end: across
// services, crashes, outages and reloads. What a single package promises is tested there.
package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
)

// run is the record of this test run. It is judged when all tests have ended.
var run record

func TestMain(m *testing.M) {
	code := m.Run()
	for _, leak := range run.leaks() {
		fmt.Println("--- FAIL: a secret was shown:", leak)
		code = 1
	}
	fmt.Println("looked for secrets in all output of the run:", run.summary())
	os.Exit(code)
}

// program is built once; the directory that it is in ends with the test binary.
var program = sync.OnceValues(func() (*built, error) {
	dir, err := daemon.NewDir("provisioner-e2e-")
	if err != nil {
		return nil, err
	}
	b := &built{dir: dir, path: filepath.Join(dir.Path, "provisioner")}
	build := exec.Command("go", "build", "-o", b.path, "github.com/provisioner/provisioner")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return b, nil
})

type built struct {
	path string
	dir  *daemon.Dir // held on to: the directory ends with it
}

// command prepares the program with the arguments, to run in dir with s as its whole environment.
func command(t testing.TB, dir string, s settings, args ...string) *exec.Cmd {
	t.Helper()
	b, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b.path, args...)
	cmd.Dir, cmd.Env = dir, s.environ()
	return cmd
}
