// Package image builds the image of provisioner and runs it, with podman and buildah and without a registry: the two base images
// are stand-ins made of what this machine has. That proves the Dockerfile and what it makes, but nothing of the real bases.
package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Store is a place for images and containers that belongs to one test, as if no others were on the machine.
type Store struct {
	t   testing.TB
	dir string
}

// containersConf runs containers without systemd, and within the limits of a process that is in a container itself.
const containersConf = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
`

// NewStore makes an empty store, whose containers end with t.
func NewStore(t testing.TB) *Store {
	t.Helper()
	s := &Store{t: t, dir: t.TempDir()}
	s.write("containers.conf", containersConf)
	t.Cleanup(func() {
		for _, kind := range []string{"pod", "container", "volume"} {
			if out, err := s.command("podman", kind, "rm", "--all", "--force").CombinedOutput(); err != nil {
				t.Errorf("remove each %s: %v\n%s", kind, err, out)
			}
		}
	})
	return s
}

// In returns the store for a test within the one that it was made for.
func (s *Store) In(t testing.TB) *Store {
	t.Helper()
	return &Store{t: t, dir: s.dir}
}

// Podman prepares podman with the arguments, to work on the store.
func (s *Store) Podman(args ...string) *exec.Cmd { return s.command("podman", args...) }

// Output runs podman and returns what it prints; that it fails is fatal.
func (s *Store) Output(args ...string) string {
	s.t.Helper()
	return s.output(s.Podman(args...))
}

func (s *Store) output(cmd *exec.Cmd) string {
	s.t.Helper()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v: run `make deps` if it is missing\n%s%s", strings.Join(cmd.Args, " "), err, out, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// command prepares podman or buildah. Its temporary directory is where it looks for the caches of a build.
func (s *Store) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, append([]string{
		"--root", filepath.Join(s.dir, "root"), "--runroot", filepath.Join(s.dir, "run"), "--storage-driver", "vfs",
	}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + s.dir, "TMPDIR=" + filepath.Join(s.dir, "tmp"),
		"CONTAINERS_CONF=" + filepath.Join(s.dir, "containers.conf"),
	}
	return cmd
}

// write makes a file of the store's directory, and the directories above it.
func (s *Store) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

// copyFile puts a file of this machine into the store's directory.
func (s *Store) copyFile(from, name string) {
	s.t.Helper()
	in, err := os.Open(from)
	if err != nil {
		s.t.Fatalf("%v: run `make deps`", err)
	}
	defer func() { _ = in.Close() }()
	s.write(name, "")
	out, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// link makes name in the store's directory lead to a directory.
func (s *Store) link(to, name string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
		s.t.Fatal(fmt.Errorf("link: %w", err))
	}
}
