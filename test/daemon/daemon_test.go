package daemon_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
)

// victim is set in the environment of the test binary that [TestKilledBinaryLeavesNothing] kills.
const victim = "DAEMON_TEST_VICTIM"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(victim) != "":
		beVictim()
	case os.Getenv(neighbour) != "":
		beNeighbour()
		return
	}
	os.Exit(m.Run())
}

// traces are what a killed test binary could leave.
type traces struct {
	PID int
	Dir string
}

// beVictim starts a daemon in a directory, prints the traces and waits to be killed.
func beVictim() {
	dir, err := daemon.NewDir("daemon-test-")
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("sleep", "600")
	cmd.Dir = dir.Path
	if _, err := daemon.Start(cmd); err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(traces{PID: cmd.Process.Pid, Dir: dir.Path}); err != nil {
		panic(err)
	}
	select {}
}

func TestKilledBinaryLeavesNothing(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var left traces
	if err := json.NewDecoder(stdout).Decode(&left); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed", as wanted

	eventually(t, "the daemon is gone", func() bool { return !running(left.PID) })
	eventually(t, "its directory is gone", func() bool {
		_, err := os.Stat(left.Dir)
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestAwait(t *testing.T) {
	t.Run("a process that ends is reported with its output", func(t *testing.T) {
		d := mustStart(t, "sh", "-c", "echo port taken >&2; exit 1")
		err := d.Await(func() error { return errors.New("refused") })
		if err == nil || !strings.Contains(err.Error(), "port taken") {
			t.Errorf("Await() = %v, want an error with the output", err)
		}
	})
	t.Run("readiness is polled", func(t *testing.T) {
		d := mustStart(t, "sleep", "600")
		calls := 0
		err := d.Await(func() error {
			if calls++; calls < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || calls != 3 {
			t.Errorf("Await() = %v after %d calls, want nil after 3", err, calls)
		}
	})
}

func TestStartReportsAMissingProgram(t *testing.T) {
	if _, err := daemon.Start(exec.Command("/nonexistent/server")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start() error = %v, want %v", err, os.ErrNotExist)
	}
}

func TestStopTwice(t *testing.T) {
	d := mustStart(t, "sleep", "600")
	for range 2 {
		if err := d.Stop(syscall.SIGTERM); err != nil {
			t.Errorf("Stop() = %v", err)
		}
	}
}

func TestDirIsRemoved(t *testing.T) {
	dir, err := daemon.NewDir("daemon-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Path+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dir.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat(%s) error = %v, want %v", dir.Path, err, os.ErrNotExist)
	}
}

func mustStart(t *testing.T, name string, args ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Start(exec.Command(name, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	return d
}

// running reports whether the process lives; a zombie that nobody has waited for does not.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-timeout:
			t.Fatalf("not so after 10 s: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
