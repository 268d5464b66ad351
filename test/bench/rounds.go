package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/provisioner/provisioner/test/bench/load"
	"github.com/provisioner/provisioner/test/bench/peer"
	"github.com/provisioner/provisioner/test/bench/report"
)

// targets are what our peers should take at most, of the peers of all suites.
var targets = []report.Target{
	{Of: "two-processes", Than: "bare", AtMost: 1.3},
	{Of: "one-process", Than: "bare", AtMost: 0.8},
	{Of: "two-processes", Than: "workers", AtMost: 0.5},
	{Of: "one-process", Than: "workers", AtMost: 0.5},
	{Of: "provision", Than: "bare-provision", AtMost: 1.2},
}

// rounds measure peers by turns: each has one in each round, and the next round begins with the next peer, so that whatever else
// the machine does falls on all of them.
type rounds struct {
	count       int
	duration    time.Duration // of a turn
	warmUp      time.Duration // before the first round
	connections int
	progress    io.Writer
}

// String says how and on what is measured.
func (r rounds) String() string {
	return fmt.Sprintf("%d rounds of %.0f s a peer, %d connections; %s on %s/%s, %d processors",
		r.count, r.duration.Seconds(), r.connections, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}

func (r rounds) run(ctx context.Context, s peer.Suite, peers []*peer.Peer) (report.Run, error) {
	measured := report.Run{Name: s.Name, Baseline: s.Baseline, Targets: targets, Series: make([]report.Series, len(peers))}
	wrk := load.Load{Kind: s.Load, Connections: r.connections, Duration: r.warmUp}
	for i, p := range peers {
		measured.Series[i] = report.Series{Name: p.Name, What: p.What, Ours: p.Ours}
		if _, err := wrk.Run(ctx, p.URL, "warm"); err != nil {
			return report.Run{}, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	wrk.Duration = r.duration
	for round := range r.count {
		for turn := range peers {
			i := (round + turn) % len(peers)
			sample, err := measure(ctx, wrk, peers[i], fmt.Sprintf("r%d", round))
			if err != nil {
				return report.Run{}, fmt.Errorf("%s: %w", peers[i].Name, err)
			}
			measured.Series[i].Samples = append(measured.Series[i].Samples, sample)
			r.tell(round, peers[i], sample)
		}
	}
	return measured, nil
}

func (r rounds) tell(round int, p *peer.Peer, s report.Sample) {
	_, _ = fmt.Fprintf(r.progress, "round %d of %d  %-14s %7.0f requests/s  %6.1f µs of CPU  %6.1f allocations\n",
		round+1, r.count, p.Name, s.Throughput(), s.CPUPerRequest(), s.AllocationsPerRequest())
}

// measure loads one peer once.
func measure(ctx context.Context, wrk load.Load, p *peer.Peer, name string) (report.Sample, error) {
	before, err := spentBy(p)
	if err != nil {
		return report.Sample{}, err
	}
	result, err := wrk.Run(ctx, p.URL, name)
	if err != nil {
		return report.Sample{}, err
	}
	after, err := spentBy(p)
	if err != nil {
		return report.Sample{}, err
	}
	memory, err := p.Memory()
	if err != nil {
		return report.Sample{}, err
	}
	return report.Sample{
		Requests: result.Requests, Elapsed: result.Elapsed, P50: result.P50, P99: result.P99,
		CPU: after.cpu - before.cpu, Allocations: after.allocations - before.allocations,
		Memory: memory.Now, Peak: memory.Peak,
	}, p.CutLogs()
}

type spent struct {
	cpu         time.Duration
	allocations float64
}

func spentBy(p *peer.Peer) (s spent, err error) {
	if s.allocations, err = p.Allocations(); err != nil {
		return spent{}, err
	}
	s.cpu, err = p.CPU()
	return s, err
}
