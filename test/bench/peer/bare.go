package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/provisioner/provisioner/test/bench/bare"
)

// Role is the argument with which the command of [NewRig] runs [Serve].
const Role = "serve-bare"

// Settings of [Serve], by environment variable. A receiver has no BARE_RECEIVER; one without BARE_DATABASE writes no row.
const (
	envAddr     = "BARE_ADDR"
	envSecret   = "BARE_SECRET"
	envReceiver = "BARE_RECEIVER"
	envDatabase = "BARE_DATABASE"
)

// Serve runs one side of a bare pair, as the environment says, until the process ends.
func Serve() error {
	handler, err := side()
	if err != nil {
		return err
	}
	s := &http.Server{Addr: os.Getenv(envAddr), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	return s.ListenAndServe()
}

func side() (http.Handler, error) {
	secret := os.Getenv(envSecret)
	if secret == "" || os.Getenv(envAddr) == "" {
		return nil, errors.New(Role + " is for the benchmark itself")
	}
	if receiver := os.Getenv(envReceiver); receiver != "" {
		return bare.NewSender(secret, receiver, bare.Transport()), nil
	}
	if path := os.Getenv(envDatabase); path != "" {
		keep, err := bare.KeepEvent(context.Background(), path)
		return bare.NewReceiver(secret, keep), err
	}
	return bare.NewReceiver(secret, bare.KeepNothing), nil
}

// bare starts a bare pair whose receiver has env beside what both have.
func (r *Rig) bare(name string, env ...string) (*Peer, error) {
	a, err := addrs(2)
	if err != nil {
		return nil, err
	}
	p := &Peer{Name: name, URL: "http://" + a[1] + "/send", Inbox: "http://" + a[0] + "/inbox"}
	if err := r.serveBare(p, a[0], env...); err != nil {
		return nil, fmt.Errorf("bare receiver: %w", err)
	}
	return p, r.serveBare(p, a[1], envReceiver+"=http://"+a[0])
}

func (r *Rig) bareWithRow(name string) (*Peer, error) {
	path, err := r.migrate(name)
	if err != nil {
		return nil, err
	}
	return r.bare(name, envDatabase+"="+path)
}

func (r *Rig) serveBare(p *Peer, addr string, env ...string) error {
	cmd := exec.Command(r.self[0], append(r.self[1:len(r.self):len(r.self)], Role)...)
	cmd.Env = append([]string{envAddr + "=" + addr, envSecret + "=" + r.secret}, env...)
	p.metrics = append(p.metrics, "http://"+addr+"/metrics")
	return r.start(p, cmd, listening(addr))
}
