package e2e_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/program"
)

// cgroup is a control group that limits the memory of what runs in it, as a container does.
type cgroup struct{ dir, limit, peak, kills string } // its directory, and the names of files in it

// cgroups are the control groups of memory, in version 1 and 2.
var cgroups = []cgroup{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"},
	{"/sys/fs/cgroup", "memory.max", "memory.peak", "memory.events"},
}

// newCgroup makes a group with a limit in bytes that is removed after t. It reports false where this user may make none.
func newCgroup(t testing.TB, limit int) (cgroup, bool) {
	t.Helper()
	for _, g := range cgroups {
		g.dir = filepath.Join(g.dir, "provisioner-e2e-"+rand.Text())
		if os.Mkdir(g.dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(g.dir); err != nil {
				t.Error(err)
			}
		})
		// The file is there only in a group whose memory can be limited.
		f, err := os.OpenFile(filepath.Join(g.dir, g.limit), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		if _, err := f.WriteString(strconv.Itoa(limit)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return g, true
	}
	return cgroup{}, false
}

// run starts p in the group, and returns when it is ready.
func (g cgroup) run(p *program.Process) {
	p.Under = []string{"/bin/sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs")}
	p.Start()
}

// check tells how much memory the group used at most, and that nothing in it was killed for want of memory.
func (g cgroup) check(t testing.TB) {
	t.Helper()
	t.Logf("%d MiB in use at most", g.number(t, g.peak, "")>>20)
	if kills := g.number(t, g.kills, "oom_kill "); kills > 0 {
		t.Errorf("%d kills for want of memory", kills)
	}
}

// number returns the number in a file of the group: the only one, or that behind a name.
func (g cgroup) number(t testing.TB, file, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if n, err := strconv.Atoi(strings.TrimSpace(rest)); ok && err == nil {
			return n
		}
	}
	t.Fatalf("%s has no number %s:\n%s", file, name, text)
	return 0
}
