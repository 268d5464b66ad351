package usage_test

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/bench/usage"
	"github.com/provisioner/provisioner/test/daemon"
)

// TestGroupCountsChildren protects peers that fork: what their children do is theirs.
func TestGroupCountsChildren(t *testing.T) {
	d, err := daemon.Start(exec.Command("sh", "-c", "(while :; do :; done) & echo forked; wait"))
	if err != nil {
		t.Fatal(err)
	}
	g := usage.Group(d.PID())
	t.Cleanup(func() {
		if err := syscall.Kill(-d.PID(), syscall.SIGKILL); err != nil { // the child too
			t.Error(err)
		}
		if err := d.Stop(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	for {
		spent, err := g.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if spent > 0 { // the shell itself sleeps
			break
		}
	}
	if m, err := g.Memory(); err != nil || m.Now <= 0 || m.Peak < m.Now {
		t.Errorf("Memory() = %+v, %v", m, err)
	}
}

func TestNoSuchGroup(t *testing.T) {
	const none = usage.Group(1 << 30) // no kernel gives such an id
	if spent, err := none.CPU(); err == nil {
		t.Errorf("CPU() = %v: who has ended has used nothing, and no error says so", spent)
	}
	if m, err := none.Memory(); err == nil {
		t.Errorf("Memory() = %v", m)
	}
}
