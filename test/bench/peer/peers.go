package peer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/provisioner/provisioner/test/bench/load"
)

// Suite is what is compared with each other: peers that do the same work.
type Suite struct {
	Name     string // for people
	Load     load.Kind
	Baseline string // the name of the peer that the others are compared with
	kinds    []kind
}

// kind is a peer that can be started.
type kind struct {
	name  string
	what  string // for the reader of a table
	run   func(r *Rig, name string) (*Peer, error)
	wants string // the program that it needs; "" for none
}

// Suites returns all suites, their peers in the order of the tables.
func Suites() []Suite {
	return []Suite{
		{"Events", load.Event, "bare", []kind{
			{"two-processes", "provisioner, two processes", (*Rig).eventsOnly, ""},
			{"one-process", "provisioner, one process", (*Rig).oneProcess, ""},
			{"bare", "bare Go pair (baseline)", (*Rig).bareWithRow, ""},
			{"bare-no-row", "bare Go pair without the row", (*Rig).bareWithoutRow, ""},
			{"haproxy", "HAProxy pair, no row", (*Rig).haproxy, "haproxy"},
			{"workers", "Worker pair in workerd, no row", (*Rig).workers, "workerd"},
			{"nginx", "nginx, plain proxy", (*Rig).nginx, "nginx"},
		}},
		{"Provisioning", load.Provision, "bare-provision", []kind{
			{"provision", "provisioner, two processes", (*Rig).provision, ""},
			{"bare-provision", "bare Go pair (baseline)", (*Rig).bareProvision, ""},
		}},
	}
}

// Names returns the names of all peers of all suites.
func Names() []string {
	var names []string
	for _, s := range Suites() {
		for _, k := range s.kinds {
			names = append(names, k.name)
		}
	}
	return names
}

// Peers returns what the peers of the suite are, for people.
func (s Suite) Peers() []string {
	var what []string
	for _, k := range s.kinds {
		what = append(what, k.what)
	}
	return what
}

// Only returns the suites with the peers that are named, without those that have none of them. Names that there are not, and
// programs that are not installed, are errors.
func Only(names []string) ([]Suite, error) {
	known := Names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no peer %q; there are %q", name, known)
		}
	}
	var chosen []Suite
	for _, s := range Suites() {
		s.kinds = slices.DeleteFunc(s.kinds, func(k kind) bool { return !slices.Contains(names, k.name) })
		if len(s.kinds) > 0 {
			chosen = append(chosen, s)
		}
	}
	return chosen, installed(chosen)
}

func installed(suites []Suite) error {
	wanted := []string{"wrk"}
	for _, s := range suites {
		for _, k := range s.kinds {
			if k.wants != "" {
				wanted = append(wanted, k.wants)
			}
		}
	}
	if absent := slices.DeleteFunc(wanted, func(name string) bool { return !missing(name) }); len(absent) > 0 {
		return fmt.Errorf("not installed: %s; run `make deps`", strings.Join(absent, ", "))
	}
	return nil
}

// Start runs the peers of a suite, and returns when all are ready. [Rig.Close] ends them, also those that ran before an error.
func (r *Rig) Start(s Suite) ([]*Peer, error) {
	var started []*Peer
	for _, k := range s.kinds {
		p, err := k.run(r, k.name)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", k.name, err)
		}
		p.What = k.what
		started = append(started, p)
	}
	return started, nil
}
