// Package terminal runs programs at a real terminal, a window of tmux, and reads what a person would see. It does not know the programs.
package terminal

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/program"
)

// Terminal is a shell in a window.
type Terminal struct {
	t      testing.TB
	socket string
	env    []string
}

// Open opens a shell in dir, with env as its environment, in a window of so many columns and rows.
func Open(t testing.TB, dir string, env []string, columns, rows int) *Terminal {
	t.Helper()
	home, err := daemon.NewDir("provisioner-terminal-") // whose path is short: a socket's must be
	if err != nil {
		t.Fatal(err)
	}
	x := &Terminal{t, filepath.Join(home.Path, "s"), append(env, "TERM=screen-256color", "LC_ALL=C.UTF-8", "HISTFILE=")}
	server := exec.Command("tmux", "-f", "/dev/null", "-u", "-S", x.socket, "-D")
	server.Dir, server.Env = dir, x.env
	running, err := daemon.Start(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Stop(syscall.SIGTERM); _ = home.Remove() })
	open := func() error {
		_, err := x.tmux("new-session", "-d", "-c", dir, "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows), "exec env PS1='$ ' bash --norc --noprofile")
		return err
	}
	if err := running.Await(open); err != nil {
		t.Fatal(err)
	}
	x.must("set-option", "-g", "status", "off")
	x.Await("a prompt", func(screen string) bool { return strings.HasSuffix(screen, "$") })
	return x
}

func (x *Terminal) tmux(args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-N", "-u", "-S", x.socket}, args...)...)
	cmd.Env = x.env // a new window has the PATH of who asks for it
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

func (x *Terminal) must(args ...string) string {
	x.t.Helper()
	out, err := x.tmux(args...)
	if err != nil {
		x.t.Fatal(err)
	}
	return out
}

// Run types a command.
func (x *Terminal) Run(command string) {
	x.t.Helper()
	x.must("send-keys", "-l", command)
	x.Press("Enter")
}

// Press presses a key, by tmux's name of it: Enter, C-c, q.
func (x *Terminal) Press(key string) {
	x.t.Helper()
	x.must("send-keys", key)
}

// Resize gives the window another size.
func (x *Terminal) Resize(columns, rows int) {
	x.t.Helper()
	x.must("resize-window", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows))
}

// Screen returns what the window shows, without blanks at the ends of lines and of the whole.
func (x *Terminal) Screen() string {
	x.t.Helper()
	var lines []string
	for line := range strings.Lines(x.must("capture-pane", "-p")) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Await waits until the condition holds of what the window shows, and returns that.
func (x *Terminal) Await(what string, condition func(screen string) bool) string {
	x.t.Helper()
	var screen string
	seen := false
	defer func() {
		if !seen {
			x.t.Logf("as it waited for %s, the screen last was:\n%s", what, screen)
		}
	}()
	program.Eventually(x.t, what, func() bool {
		screen = x.Screen()
		seen = condition(screen)
		return seen
	})
	return screen
}
