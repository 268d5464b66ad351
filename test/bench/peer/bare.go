package peer

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/provisioner/provisioner/test/bench/bare"
	"github.com/provisioner/provisioner/test/program"
)

// role is the first argument with which [Serve] serves; the second is the side.
const role = "serve-bare"

// Environment variables of [Serve].
const (
	envAddr     = "BARE_ADDR"     // where it listens
	envSecret   = "BARE_SECRET"   // of the signatures
	envReceiver = "BARE_RECEIVER" // base URL, for a sender
	envDatabase = "BARE_DATABASE" // path, for the receiver that keeps
	envSupabase = "BARE_SUPABASE" // base URL, for the receiver that provisions
)

// sides are what [Serve] can be.
var sides = map[string]func() (http.Handler, error){
	"sender": func() (http.Handler, error) {
		return bare.NewSender(os.Getenv(envSecret), os.Getenv(envReceiver), bare.Transport()), nil
	},
	"keeper": func() (http.Handler, error) {
		keep, err := bare.KeepEvent(context.Background(), os.Getenv(envDatabase))
		return bare.NewReceiver(os.Getenv(envSecret), keep), err
	},
	"answerer": func() (http.Handler, error) {
		return bare.NewReceiver(os.Getenv(envSecret), bare.KeepNothing), nil
	},
	"provisioner": func() (http.Handler, error) {
		return bare.NewReceiver(os.Getenv(envSecret), bare.ProvisionKey(os.Getenv(envSupabase), bare.Transport())), nil
	},
	"supabase": func() (http.Handler, error) { return bare.NewSupabase(), nil },
}

// Serve does nothing, unless a [Rig] gave the arguments of this program to it: then it is one side of a bare pair, or the stub of
// Supabase, as the environment says, until the process ends.
func Serve(args []string) error {
	if len(args) != 2 || args[0] != role {
		return nil
	}
	build, ok := sides[args[1]]
	if !ok {
		return fmt.Errorf("no side %q; there are %q", args[1], slices.Sorted(maps.Keys(sides)))
	}
	handler, err := build()
	if err != nil {
		return err
	}
	s := &http.Server{Addr: os.Getenv(envAddr), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	return s.ListenAndServe()
}

// bare starts a bare pair with a receiver of the side, and env beside what all have.
func (r *Rig) bare(name, side string, env program.Settings) (*Peer, error) {
	a, err := addrs(2)
	if err != nil {
		return nil, err
	}
	p := newPair(name, a[1], a[0])
	if err := r.serveBare(p, side, a[0], env); err != nil {
		return nil, err
	}
	return p, r.serveBare(p, "sender", a[1], program.Settings{envReceiver: "http://" + a[0]})
}

func (r *Rig) bareWithRow(name string) (*Peer, error) {
	path, err := r.migrate(name)
	if err != nil {
		return nil, err
	}
	return r.bare(name, "keeper", program.Settings{envDatabase: path})
}

func (r *Rig) bareWithoutRow(name string) (*Peer, error) { return r.bare(name, "answerer", nil) }

func (r *Rig) serveBare(p *Peer, side, addr string, env program.Settings) error {
	cmd := exec.Command(r.self, role, side)
	cmd.Env = env.With(program.Settings{envAddr: addr, envSecret: r.Secret}).Environ()
	p.metrics = append(p.metrics, "http://"+addr+"/metrics")
	return r.start(p, cmd, listening(addr))
}
