package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/provisioner/provisioner/test/bench/load"
	"github.com/provisioner/provisioner/test/bench/peer"
	"github.com/provisioner/provisioner/test/bench/report"
)

// warmUp is how long each peer is loaded before the first round.
const warmUp = time.Second

// bench measures peers in rounds: each has its turn in each round, and the next round begins with the next peer, so that whatever
// else the machine does falls on all of them.
type bench struct {
	rounds   int
	load     load.Load
	progress io.Writer
}

func (b bench) run(ctx context.Context, peers []*peer.Peer) (report.Run, error) {
	measured := report.Run{Baseline: peer.Baseline, Series: make([]report.Series, len(peers))}
	for i, p := range peers {
		measured.Series[i] = report.Series{Name: p.Name, What: peer.Describe(p.Name)}
		warm := b.load
		warm.Duration = warmUp
		if _, err := warm.Run(ctx, p.URL, "warm-"+p.Name); err != nil {
			return report.Run{}, err
		}
	}
	for round := range b.rounds {
		for turn := range peers {
			i := (round + turn) % len(peers)
			sample, err := b.measure(ctx, peers[i], fmt.Sprintf("r%d", round))
			if err != nil {
				return report.Run{}, err
			}
			measured.Series[i].Samples = append(measured.Series[i].Samples, sample)
			b.report(round, peers[i], sample)
		}
	}
	return measured, nil
}

func (b bench) report(round int, p *peer.Peer, s report.Sample) {
	_, _ = fmt.Fprintf(b.progress, "round %d of %d  %-14s %7.0f requests/s  %6.1f µs of CPU  %6.1f allocations\n",
		round+1, b.rounds, p.Name, s.Throughput(), s.CPUPerRequest(), s.AllocationsPerRequest())
}

// measure loads one peer once.
func (b bench) measure(ctx context.Context, p *peer.Peer, name string) (report.Sample, error) {
	before, err := spentBy(p)
	if err != nil {
		return report.Sample{}, err
	}
	result, err := b.load.Run(ctx, p.URL, name)
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
