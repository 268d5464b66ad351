package program

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/record"
)

// admin asks the admin port; what hangs there fails.
var admin = &http.Client{Timeout: 10 * time.Second}

// Process is a service in a process of its own, which a test can kill and start again: its ports and its data stay.
type Process struct {
	Service string   // sender, receiver, papyrus or all
	Env     Settings // its whole environment from the next start on
	Under   []string // the command that starts it in its own place, "prlimit --nofile=64"; none for a plain start

	t       testing.TB
	dir     string // the working directory
	cmd     *exec.Cmd
	running *daemon.Daemon // nil while it is stopped
}

// New prepares a service on free ports of loopback. Limits are off, and it logs all that it ever does, unless s says
// otherwise.
func New(t testing.TB, service string, s Settings) *Process {
	t.Helper()
	if _, err := build(); err != nil { // here, and not while a start is timed
		t.Fatal(err)
	}
	p := &Process{t: t, Service: service, dir: t.TempDir()}
	env := Settings{
		"DATA_DIR": filepath.Join(p.dir, "data"), "LOG_LEVEL": "debug", "DRAIN_DELAY": "0s",
		"RATE_LIMIT_AUTH": "off", "RATE_LIMIT_SEND": "off",
	}
	for _, name := range []string{"SENDER", "RECEIVER", "PAPYRUS", "ADMIN"} {
		port, err := daemon.Port()
		if err != nil {
			t.Fatal(err)
		}
		env[name+"_ADDR"] = "127.0.0.1:" + strconv.Itoa(port)
	}
	p.Env = env.With(s)
	p.Env.keepSecrets()
	t.Cleanup(p.end)
	return p
}

// Start runs a service until t ends, and returns when it is ready.
func Start(t testing.TB, service string, s Settings) *Process {
	t.Helper()
	p := New(t, service, s)
	p.Start()
	return p
}

// Start runs the process, and returns when it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.Launch()
	if err := p.running.Await(p.Ready); err != nil {
		p.t.Fatal(err)
	}
	p.keepGenerated()
}

// Launch runs the process without waiting for anything.
func (p *Process) Launch() {
	p.t.Helper()
	p.cmd = p.Command("serve", p.Service)
	if len(p.Under) > 0 {
		p.cmd.Path, p.cmd.Args = p.Under[0], slices.Concat(p.Under, p.cmd.Args)
	}
	running, err := daemon.Start(p.cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	p.running = running
}

// URL returns the base URL of the service called name, without trailing slash; "admin" is one too.
func (p *Process) URL(name string) string { return "http://" + p.Addr(name) }

// Addr returns host and port of the service called name.
func (p *Process) Addr(name string) string { return p.Env[strings.ToUpper(name)+"_ADDR"] }

// Ready returns nil when /readyz is 200.
func (p *Process) Ready() error {
	status, body, err := p.admin("/readyz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/readyz: %d %s", status, body)
	}
	return err
}

// admin gets a page of the admin port.
func (p *Process) admin(path string) (status int, body string, err error) {
	resp, err := admin.Get(p.URL("admin") + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// Output returns what the process has printed since it was started, "" while it is stopped.
func (p *Process) Output() string {
	if p.running == nil {
		return ""
	}
	return p.running.Output()
}

// Signal sends sig and goes on.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Error(err)
	}
}

// Stop sends sig, waits for the end, and returns the exit code, -1 for a death by the signal.
func (p *Process) Stop(sig os.Signal) int {
	p.t.Helper()
	if err := p.running.Stop(sig); err != nil {
		p.t.Error(err)
	}
	p.keepGenerated()
	record.See("output of "+p.Service+" in "+p.t.Name(), p.running.Output())
	p.running = nil
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process as a crash does.
func (p *Process) Kill() {
	p.t.Helper()
	p.Stop(syscall.SIGKILL)
}

// Crash kills the process and starts it again.
func (p *Process) Crash() {
	p.t.Helper()
	p.Kill()
	p.Start()
}

// end ends the process as an operator does, if it runs, having looked at its metrics.
func (p *Process) end() {
	if p.running == nil {
		return
	}
	output := p.running.Output
	_ = p.Metrics() // is on the record
	if code := p.Stop(syscall.SIGTERM); code != 0 {
		p.t.Errorf("%s: exit code %d after SIGTERM", p.Service, code)
	}
	if p.t.Failed() {
		text := output()
		p.t.Logf("the end of what %s printed:\n%s", p.Service, text[max(0, len(text)-4000):])
	}
}

// Metrics returns the page of /metrics, "" when there is none.
func (p *Process) Metrics() string {
	_, page, err := p.admin("/metrics")
	if err != nil {
		return ""
	}
	record.See("metrics of "+p.Service+" in "+p.t.Name(), page)
	return page
}

// Metric returns the sample with the name, "provisioner_reload_failed" or "…_total{result=\"ok\"}"; -1 for none.
func (p *Process) Metric(name string) float64 { return Sample(p.Metrics(), name) }

// Sample returns the sample with the name on a page of metrics; -1 for none.
func Sample(metrics, name string) float64 {
	for line := range strings.Lines(metrics) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			if value, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
				return value
			}
		}
	}
	return -1
}

// Memory returns a line of what Linux says of the memory of the process, in KiB: "VmRSS" for what is resident, "VmHWM" for the
// most that ever was.
func (p *Process) Memory(line string) float64 {
	p.t.Helper()
	kb, err := MemoryOf(p.cmd.Process.Pid, line)
	if err != nil {
		p.t.Fatal(err)
	}
	return kb
}

// MemoryOf is [Process.Memory] of any process.
func MemoryOf(pid int, line string) (kb float64, err error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), line+":")
	text, _, _ := strings.Cut(rest, "kB")
	return strconv.ParseFloat(strings.TrimSpace(text), 64)
}

// keepGenerated puts the keys in the data directory on the record: all that is no database.
func (p *Process) keepGenerated() {
	dir := p.Env["DATA_DIR"]
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "provisioner.db") || strings.HasPrefix(name, ".") {
			return nil //nolint:nilerr // a sender has no data directory
		}
		key, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && len(key) > 0 {
			record.Keep("generated "+name, string(key))
		}
		return err
	})
	if err != nil {
		p.t.Error(err)
	}
}

// Command prepares the program with other arguments in the place of p.
func (p *Process) Command(args ...string) *exec.Cmd {
	p.t.Helper()
	return Command(p.t, p.dir, p.Env, args...)
}

// Run runs the program with other arguments in the place of p, and returns what it printed on its standard output.
func (p *Process) Run(args ...string) string {
	p.t.Helper()
	cmd := p.Command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	record.See(strings.Join(args, " ")+" in "+p.t.Name(), errs.String())
	if err != nil {
		p.t.Fatalf("provisioner %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// Events returns how often each body is in the export of p's events.
func (p *Process) Events() map[string]int {
	p.t.Helper()
	bodies := map[string]int{}
	for line := range strings.Lines(p.Run("events", "export")) {
		_, rest, ok := strings.Cut(line, `"body":`)
		body, closed := strings.CutSuffix(strings.TrimSpace(rest), "}")
		if !ok || !closed {
			p.t.Fatalf("a line of the export without a body at its end: %s", line)
		}
		bodies[body]++
	}
	return bodies
}
