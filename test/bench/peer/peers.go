package peer

import (
	"fmt"
	"slices"
)

// Names of peers. Ratios are against the [Baseline].
const (
	TwoProcesses = "two-processes"
	OneProcess   = "one-process"
	Baseline     = "bare"
	BareNoRow    = "bare-no-row"
)

// kind is a peer that can be started.
type kind struct {
	name string
	what string // for the reader of a table
	run  func(r *Rig, name string) (*Peer, error)
}

// events are the peers that take events, in the order of the table.
var events = []kind{
	{TwoProcesses, "provisioner, two processes", func(r *Rig, name string) (*Peer, error) {
		return r.twoProcesses(name, "http://127.0.0.1:1") // not called for an event
	}},
	{OneProcess, "provisioner, one process", (*Rig).oneProcess},
	{Baseline, "bare Go pair (baseline)", (*Rig).bareWithRow},
	{BareNoRow, "bare Go pair without the row", func(r *Rig, name string) (*Peer, error) { return r.bare(name) }},
}

// Names returns the names of all peers that take events.
func Names() []string {
	var names []string
	for _, k := range events {
		names = append(names, k.name)
	}
	return names
}

// Describe returns what a peer is, for people.
func Describe(name string) string {
	for _, k := range events {
		if k.name == name {
			return k.what
		}
	}
	return name
}

// Start runs the peers with the names, which take events, and returns when all are ready. [Rig.Close] ends them, also those
// that ran before an error.
func (r *Rig) Start(names []string) ([]*Peer, error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("no peer %q; there are %q", name, Names())
		}
	}
	var started []*Peer
	for _, k := range events {
		if !slices.Contains(names, k.name) {
			continue
		}
		p, err := k.run(r, k.name)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", k.name, err)
		}
		started = append(started, p)
	}
	return started, nil
}
