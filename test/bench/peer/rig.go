// Package peer starts what the benchmark compares: pairs of a sender and a receiver, as processes on loopback that are set up as
// in production. It does not load or measure them.
package peer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/provisioner/provisioner/test/bench/usage"
	"github.com/provisioner/provisioner/test/daemon"
)

// Rig starts peers, with their files in one directory, and ends them.
type Rig struct {
	Secret string // the one with which all peers sign

	program string // provisioner
	self    string // a program that calls [Serve]
	dir     *daemon.Dir
	stops   []func() error
	stub    string // of Supabase; "" before it is started
}

// NewRig returns a Rig that starts the provisioner at program. Self is a program that calls [Serve] before all else: it runs the bare
// peers.
func NewRig(program, self string) (*Rig, error) {
	dir, err := daemon.NewDir("provisioner-bench-")
	if err != nil {
		return nil, err
	}
	return &Rig{program: program, self: self, Secret: rand.Text() + rand.Text(), dir: dir}, nil
}

// Close ends all peers, the last first, and removes their files.
func (r *Rig) Close() error {
	var errs []error
	for _, stop := range slices.Backward(r.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(append(errs, r.dir.Remove())...)
}

func (r *Rig) path(name string) string { return filepath.Join(r.dir.Path, name) }

// Peer is a running pair.
type Peer struct {
	Name  string // for programs
	What  string // for people
	Ours  bool   // not somebody else's
	URL   string // where the load goes
	Inbox string // where the receiver takes signed requests; "" if it verifies nothing

	groups  []usage.Group
	metrics []string // addresses of the metrics of its processes, where they are Go's
	logs    []string // files that grow
}

// newPair returns a peer that has no processes yet.
func newPair(name, sender, receiver string) *Peer {
	return &Peer{Name: name, URL: "http://" + sender + "/send", Inbox: "http://" + receiver + "/inbox"}
}

// CPU returns what all processes of the peer have spent so far.
func (p *Peer) CPU() (total time.Duration, err error) {
	for _, g := range p.groups {
		spent, err := g.CPU()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.Name, err)
		}
		total += spent
	}
	return total, nil
}

// Memory returns what all processes of the peer hold.
func (p *Peer) Memory() (total usage.Memory, err error) {
	for _, g := range p.groups {
		m, err := g.Memory()
		if err != nil {
			return usage.Memory{}, fmt.Errorf("%s: %w", p.Name, err)
		}
		total.Now += m.Now
		total.Peak += m.Peak
	}
	return total, nil
}

// CutLogs empties the log files: runs should not fill a disk.
func (p *Peer) CutLogs() error {
	for _, path := range p.logs {
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
	}
	return nil
}

// start runs a process of the peer, and returns when ready does without an error.
func (r *Rig) start(p *Peer, cmd *exec.Cmd, ready func() error) error {
	if cmd.Dir == "" {
		cmd.Dir = r.dir.Path
	}
	d, err := daemon.Start(cmd)
	if err != nil {
		return err
	}
	r.stops = append(r.stops, func() error { return d.Stop(syscall.SIGTERM) })
	p.groups = append(p.groups, usage.Group(d.PID()))
	return d.Await(ready)
}

// addrs returns as many different addresses as are asked for, each "127.0.0.1:<a free port>".
func addrs(n int) ([]string, error) {
	var found []string
	for len(found) < n {
		port, err := daemon.Port()
		if err != nil {
			return nil, err
		}
		if a := net.JoinHostPort("127.0.0.1", strconv.Itoa(port)); !slices.Contains(found, a) {
			found = append(found, a)
		}
	}
	return found, nil
}

// listening is ready when somebody listens at an address.
func listening(addr string) func() error {
	return func() error {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// answering is ready when url answers 200.
func answering(url string) func() error {
	return func() error {
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	}
}
