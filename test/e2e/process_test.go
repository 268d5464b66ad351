package e2e_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
)

// settings are environment variables of the program.
type settings map[string]string

// with returns s with changes, of which the empty ones are not set.
func (s settings) with(changes settings) settings {
	all := maps.Clone(s)
	if all == nil {
		all = settings{}
	}
	maps.Copy(all, changes)
	return all
}

// environ returns s as an environment, with nothing of the test's own but what programs need.
func (s settings) environ() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if s[name] != "" {
			env = append(env, name+"="+s[name])
		}
	}
	return env
}

// keepSecrets puts what is secret in s on the record.
func (s settings) keepSecrets() {
	for _, name := range []string{"SHARED_SECRET", "SEAL_KEY", "REFRESH_TOKEN_KEY", "ACCESS_JWT_PRIVATE_KEY", "SUPABASE_ANON_KEY"} {
		if s[name] != "" {
			run.keep(name, s[name])
		}
	}
	var keys map[string]string
	if json.Unmarshal([]byte(s["SIGNING_KEYS"]), &keys) == nil {
		for _, key := range keys {
			run.keep("signing secret", key)
		}
	}
	for _, name := range []string{"DATABASE_URL", "REDIS_URL"} {
		u, err := url.Parse(s[name])
		if err != nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			run.keep(name+" password", password)
		}
	}
}

// process is a service in a process of its own, which a test can kill and start again: its ports and its data stay.
type process struct {
	t       testing.TB
	service string // sender, receiver, papyrus or all
	env     settings
	dir     string // the working directory

	cmd     *exec.Cmd
	running *daemon.Daemon // nil while it is stopped
}

// newProcess prepares a service on free ports of loopback. Limits are off, and it logs all that it ever does, unless s says
// otherwise.
func newProcess(t testing.TB, service string, s settings) *process {
	t.Helper()
	if _, err := program(); err != nil { // here, and not while a start is timed
		t.Fatal(err)
	}
	p := &process{t: t, service: service, dir: t.TempDir()}
	env := settings{
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
	p.env = env.with(s)
	p.env.keepSecrets()
	p.validate()
	t.Cleanup(p.end)
	return p
}

// start runs a service until t ends, and returns when it is ready.
func start(t testing.TB, service string, s settings) *process {
	t.Helper()
	p := newProcess(t, service, s)
	p.start()
	return p
}

// start runs the process, and returns when it is ready.
func (p *process) start() {
	p.t.Helper()
	p.launch()
	if err := p.running.Await(p.ready); err != nil {
		p.t.Fatal(err)
	}
	p.keepGenerated()
}

// launch runs the process without waiting for anything.
func (p *process) launch() {
	p.t.Helper()
	p.cmd = command(p.t, p.dir, p.env, "serve", p.service)
	running, err := daemon.Start(p.cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	p.running = running
}

// url returns the base URL of the service called name, without trailing slash; "admin" is one too.
func (p *process) url(name string) string { return "http://" + p.addr(name) }

func (p *process) addr(name string) string { return p.env[strings.ToUpper(name)+"_ADDR"] }

// ready returns nil when /readyz is 200.
func (p *process) ready() error {
	a, err := get(p.url("admin") + "/readyz")
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("/readyz: %d %s", a.status, a.body)
	}
	return err
}

// signal sends sig and goes on.
func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Error(err)
	}
}

// stop sends sig, waits for the end, and returns the exit code, -1 for a death by the signal.
func (p *process) stop(sig os.Signal) int {
	p.t.Helper()
	if err := p.running.Stop(sig); err != nil {
		p.t.Error(err)
	}
	p.keepGenerated()
	run.see("output of "+p.service+" in "+p.t.Name(), p.running.Output())
	p.running = nil
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process as a crash does.
func (p *process) kill() {
	p.t.Helper()
	p.stop(syscall.SIGKILL)
}

// crash kills the process and starts it again.
func (p *process) crash() {
	p.t.Helper()
	p.kill()
	p.start()
}

// end ends the process as an operator does, if it runs, having looked at its metrics.
func (p *process) end() {
	if p.running == nil {
		return
	}
	output := p.running.Output
	_ = p.metrics() // is on the record
	if code := p.stop(syscall.SIGTERM); code != 0 {
		p.t.Errorf("%s: exit code %d after SIGTERM", p.service, code)
	}
	if p.t.Failed() {
		text := output()
		p.t.Logf("the end of what %s printed:\n%s", p.service, text[max(0, len(text)-4000):])
	}
}

// metrics returns the page of /metrics, "" when there is none.
func (p *process) metrics() string {
	a, err := get(p.url("admin") + "/metrics")
	if err != nil {
		return ""
	}
	run.see("metrics of "+p.service+" in "+p.t.Name(), a.body)
	return a.body
}

// metric returns the sample with the name, "provisioner_reload_failed" or "…_total{result=\"ok\"}"; -1 for none.
func (p *process) metric(name string) float64 {
	for line := range strings.Lines(p.metrics()) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			if value, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
				return value
			}
		}
	}
	return -1
}

// keepGenerated puts the keys in the data directory on the record: all that is no database.
func (p *process) keepGenerated() {
	dir := p.env["DATA_DIR"]
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "provisioner.db") || strings.HasPrefix(name, ".") {
			return nil //nolint:nilerr // a sender has no data directory
		}
		key, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && len(key) > 0 {
			run.keep("generated "+name, string(key))
		}
		return err
	})
	if err != nil {
		p.t.Error(err)
	}
}

// command runs the program with other arguments in the place of p, and returns what it printed on its standard output.
func (p *process) command(args ...string) string {
	p.t.Helper()
	cmd := command(p.t, p.dir, p.env, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	run.see(strings.Join(args, " ")+" in "+p.t.Name(), errs.String())
	if err != nil {
		p.t.Fatalf("provisioner %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}
