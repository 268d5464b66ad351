// Package docs runs what the documentation tells its readers to type.
package docs

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
)

const root = "../.."

// pages are the pages with commands, and whether they want an installation that is already running.
var pages = []struct {
	file    string
	serving bool
}{
	{"docs/getting-started.md", false},
	{"docs/api.md", true},
	{"docs/flutter.md", true},
	{"docs/forward-auth.md", true},
	{"docs/accounts.md", true},
	{"docs/desktop.md", true},
	{"docs/library.md", true},
	{"docs/sync.md", true},
	{"docs/runbook.md", true},
	{"docs/observability.md", true},
	{"docs/operating-accounts.md", true},
	{"docs/signing.md", false},
	{"docs/moving-from-workers.md", false},
	{"docs/adopting-papyrus.md", false},
	{"docs/separate-services.md", false},
	{"docs/doctor.md", false},
	{"docs/capacity.md", false},
}

// TestCommandsOfThePages runs the sh blocks of each page, in their order, in one shell that stops at the first failure, in a
// copy of the tree.
func TestCommandsOfThePages(t *testing.T) {
	binary := build(t)
	for _, page := range pages {
		t.Run(filepath.Base(page.file), func(t *testing.T) {
			run := newShell(t, binary)
			if page.serving {
				run.serve(t)
			}
			run.script(t, blocks(t, page.file))
		})
	}
}

// TestCommandsOfTheReadme runs the README's commands but make test, which runs this, and serve all, which goes on for ever.
func TestCommandsOfTheReadme(t *testing.T) {
	var lines []string
	for _, line := range strings.Split(blocks(t, "README.md"), "\n") {
		if !strings.HasPrefix(line, "make test") && !strings.HasPrefix(line, "go run . serve all") {
			lines = append(lines, line)
		}
	}
	newShell(t, build(t)).script(t, strings.Join(lines, "\n"))
}

// TestCommandsOfTheRunbook runs what the pages of all alerts have an operator type, beside one running installation.
func TestCommandsOfTheRunbook(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(root, "docs", "runbook", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatal("no pages", err)
	}
	run := newShell(t, build(t))
	run.serve(t)
	for _, path := range found {
		t.Run(filepath.Base(path), func(t *testing.T) { run.script(t, blocks(t, "docs/runbook/"+filepath.Base(path))) })
	}
}

func TestEveryPageWithCommandsIsRun(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatal("no pages", err)
	}
	known := map[string]bool{}
	for _, page := range pages {
		known[filepath.Base(page.file)] = true
	}
	for _, path := range found {
		if name := filepath.Base(path); !known[name] && blocks(t, "docs/"+name) != "" {
			t.Errorf("%s has commands that no test runs", name)
		}
	}
}

var block = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// blocks returns the sh blocks of a page.
func blocks(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, match := range block.FindAllStringSubmatch(string(text), -1) {
		out = append(out, match[1])
	}
	return strings.Join(out, "\n")
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "provisioner")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// shell is a directory with a copy of the tree, and an environment in which the services have free ports.
type shell struct {
	dir   string
	env   []string
	ports *strings.Replacer // from the ports of the pages to the free ones
}

func newShell(t *testing.T, binary string) *shell {
	t.Helper()
	s := &shell{dir: t.TempDir()}
	copyTree := exec.Command("sh", "-c", `git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$1"`, "sh", s.dir)
	copyTree.Dir = root
	if out, err := copyTree.CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
	}

	var swap []string
	s.env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"),
		"PROVISIONER_HOME="+filepath.Join(s.dir, "client"), "PROVISIONER_KEYRING=off")
	for setting, documented := range map[string]string{
		"SENDER_ADDR": "8787", "RECEIVER_ADDR": "8788", "PAPYRUS_ADDR": "8080", "ADMIN_ADDR": "9090",
	} {
		port, err := daemon.Port()
		if err != nil {
			t.Fatal(err)
		}
		addr := "127.0.0.1:" + strconv.Itoa(port)
		s.env = append(s.env, setting+"="+addr)
		swap = append(swap, "127.0.0.1:"+documented, addr)
		if setting == "SENDER_ADDR" {
			s.env = append(s.env, "SENDER_WORKER_URL=http://"+addr)
		}
	}
	s.ports = strings.NewReplacer(swap...)
	return s
}

const pageTimeout = 5 * time.Minute // a build on a busy machine included

// script runs text and fails the test unless every command of it succeeds.
func (s *shell) script(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pageTimeout)
	defer cancel()
	cmd := s.command(ctx, s.ports.Replace(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

// command returns a shell in a process group of its own, of which nothing is left when ctx ends.
func (s *shell) command(ctx context.Context, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", text)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// serve runs an installation until the test ends.
func (s *shell) serve(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := s.command(ctx, "exec provisioner serve all >serving.log 2>&1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	s.script(t, "set +x; until provisioner healthcheck >/dev/null 2>&1; do sleep 0.05; done")
}
