// Package nginx gives a test a real nginx of its own, and shows that nginx lets nobody past provisioner (contract: papyrus,
// section 8).
package nginx

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
)

// shell is what stands around the piece that a test is about. All that nginx writes is in its directory, and it stays one
// process, so that whoever runs the test may run it.
const shell = `daemon off;
master_process off;
error_log stderr warn;
pid nginx.pid;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
%s
}
`

// Addr returns "127.0.0.1:<a free port>".
func Addr(t testing.TB) string {
	t.Helper()
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// Start runs nginx with conf in its http block until t ends. It returns when nginx listens on addr, which conf has it do.
func Start(t testing.TB, addr, conf string) {
	t.Helper()
	program, err := find()
	if err != nil {
		t.Fatalf("%v: run `make deps`", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, shell, conf), 0o600); err != nil {
		t.Fatal(err)
	}
	process, err := daemon.Start(exec.Command(program, "-p", dir, "-c", path, "-e", "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("what nginx printed:\n%s", process.Output())
		}
	})
	err = process.Await(func() error {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// find returns the program, which Debian keeps where only root looks.
func find() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/nginx")
}
