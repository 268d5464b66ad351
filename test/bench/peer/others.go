package peer

import (
	_ "embed"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/provisioner/provisioner/test/bench/usage"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/workers"
)

var (
	//go:embed haproxy-sender.cfg
	haproxySender string
	//go:embed haproxy-receiver.cfg
	haproxyReceiver string
	//go:embed nginx-proxy.conf
	nginxProxy string
	//go:embed nginx-answer.conf
	nginxAnswer string
)

// haproxy starts a pair of HAProxies that sign and verify by their configuration. The receiver keeps nothing.
func (r *Rig) haproxy(name string) (*Peer, error) {
	a, err := addrs(2)
	if err != nil {
		return nil, err
	}
	p := newPair(name, a[1], a[0])
	env := program.Settings{
		"BENCH_KEY": base64.StdEncoding.EncodeToString([]byte(r.Secret)), "BENCH_RECEIVER": a[0], "BENCH_SENDER": a[1],
	}
	for _, side := range []struct{ addr, config string }{{a[0], haproxyReceiver}, {a[1], haproxySender}} {
		file, err := r.write(name, side.addr, side.config)
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(sbin("haproxy"), "-db", "-f", file)
		cmd.Env = env.Environ()
		if err := r.start(p, cmd, listening(side.addr)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// nginx starts a plain proxy before an nginx that answers all alike: what passing a request on costs at least.
func (r *Rig) nginx(name string) (*Peer, error) {
	a, err := addrs(2)
	if err != nil {
		return nil, err
	}
	p := newPair(name, a[1], a[0])
	p.Inbox = "" // who does not verify has none
	ports := strings.NewReplacer("ANSWERER", a[0], "PROXY", a[1])
	for _, side := range []struct{ addr, config string }{{a[0], nginxAnswer}, {a[1], nginxProxy}} {
		file, err := r.write(name, side.addr, ports.Replace(side.config))
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(sbin("nginx"), "-p", filepath.Dir(file), "-c", file, "-e", "stderr")
		if err := r.start(p, cmd, listening(side.addr)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// write puts a configuration into a directory of its own, and returns its path.
func (r *Rig) write(name, addr, config string) (string, error) {
	dir := r.path(name + "-" + addr)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "config")
	return file, os.WriteFile(file, []byte(config), 0o600)
}

// workers starts the Workers in workerd. The receiver remembers signatures in its memory, and keeps no event.
func (r *Rig) workers(name string) (*Peer, error) {
	receiver, err := workers.Launch("receiver.capnp", workers.Bindings{SharedSecret: r.Secret})
	if err != nil {
		return nil, err
	}
	r.stops = append(r.stops, receiver.Stop)
	sender, err := workers.Launch("sender.capnp", workers.Bindings{SharedSecret: r.Secret, ReceiverWorkerURL: receiver.URL})
	if err != nil {
		return nil, err
	}
	r.stops = append(r.stops, sender.Stop)
	return &Peer{
		Name: name, URL: sender.URL + "/send", Inbox: receiver.URL + "/inbox",
		groups: []usage.Group{usage.Group(sender.PID()), usage.Group(receiver.PID())},
	}, nil
}

// sbin returns the path of a program that Debian keeps where only root looks.
func sbin(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

// missing tells whether a program is not installed.
func missing(name string) bool {
	if name == "workerd" {
		_, err := workers.Program()
		return err != nil
	}
	_, err := exec.LookPath(sbin(name))
	return err != nil
}
