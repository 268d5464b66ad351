package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/provisioner/provisioner/test/daemon"
)

// binaries is where the programs of one Postgres version are, and as whom they run.
type binaries struct {
	dir      string
	uid, gid int
	asOther  bool // initdb and postgres refuse root: they run as the user postgres
}

// install makes a data directory for a server that is not running yet.
func install() (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	port, err := daemon.Port()
	if err != nil {
		return nil, err
	}
	dir, err := daemon.NewDir("provisioner-postgres-")
	if err != nil {
		return nil, err
	}
	if err := bin.initialize(dir.Path); err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	return &Server{bin: bin, dir: dir, port: port}, nil
}

// find looks in $PG_BIN, then for the newest version where Debian keeps them, then in $PATH.
func find() (binaries, error) {
	bin := binaries{dir: os.Getenv("PG_BIN")}
	if bin.dir == "" {
		bin.dir = newest("/usr/lib/postgresql/*/bin/initdb")
	}
	if bin.dir == "" {
		initdb, err := exec.LookPath("initdb")
		if err != nil {
			return bin, errors.New("no Postgres programs in $PG_BIN, /usr/lib/postgresql or $PATH: run `make deps`")
		}
		bin.dir = filepath.Dir(initdb)
	}
	if os.Geteuid() != 0 {
		return bin, nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return bin, fmt.Errorf("postgres does not run as root, and: %w: run `make deps`", err)
	}
	bin.asOther = true
	var uidErr, gidErr error
	bin.uid, uidErr = strconv.Atoi(owner.Uid)
	bin.gid, gidErr = strconv.Atoi(owner.Gid)
	return bin, errors.Join(uidErr, gidErr)
}

// newest returns the directory of the match with the highest version, "" if there is none.
func newest(pattern string) string {
	matches, _ := filepath.Glob(pattern) // the one error is a bad pattern
	if len(matches) == 0 {
		return ""
	}
	version := func(initdb string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb)))) // anything else sorts first
		return n
	}
	return filepath.Dir(slices.MaxFunc(matches, func(a, b string) int { return cmp.Compare(version(a), version(b)) }))
}

// initialize gives dir to who runs the server and makes the data directory in it.
func (b binaries) initialize(dir string) error {
	if b.asOther {
		if err := os.Chown(dir, b.uid, b.gid); err != nil {
			return err
		}
	}
	cmd := b.command(dir, "initdb", "-D", dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// command prepares one of the programs, with nothing of the test's environment.
func (b binaries) command(dir, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(b.dir, program), args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C.UTF-8", "TZ=UTC", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	if b.asOther {
		credential := &syscall.Credential{Uid: uint32(b.uid), Gid: uint32(b.gid)}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	return cmd
}
