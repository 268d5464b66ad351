package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// janitor removes the directory $0 once its standard input ends. It tries again because a server that is dying beside it
// may still write.
const janitor = `read -r _; for _ in 1 2 3 4 5; do rm -rf "$0" && exit; sleep 1; done; exit 1`

// Dir is a temporary directory that outlives a test but never the test binary, even a killed one.
type Dir struct {
	Path     string
	janitor  *exec.Cmd
	lifeline io.Closer // the janitor's standard input: closed by Remove, or by the kernel when the binary ends
}

// NewDir creates an empty directory of mode 0700 whose name starts with prefix.
func NewDir(prefix string) (*Dir, error) {
	path, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", janitor, path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the test
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start janitor: %w", err), os.Remove(path))
	}
	return &Dir{Path: path, janitor: cmd, lifeline: lifeline}, nil
}

// Remove deletes the directory and all that is in it. What writes there must have ended.
func (d *Dir) Remove() error {
	if err := d.lifeline.Close(); err != nil {
		return err
	}
	if err := d.janitor.Wait(); err != nil {
		return fmt.Errorf("remove %s: %w", d.Path, err)
	}
	return nil
}
