// Package report turns the measurements of a benchmark into tables, a plot, and ratios that later runs are compared with.
package report

import (
	"math"
	"slices"
	"time"
)

// Sample is one peer in one round.
type Sample struct {
	Requests    int
	Elapsed     time.Duration
	P50, P99    time.Duration
	CPU         time.Duration // of all processes of the peer, all requests together
	Allocations float64       // objects, all requests together; 0 where they are not known
	Memory      int64         // bytes at the end of the round
	Peak        int64         // bytes at most so far
}

// CPUPerRequest is in microseconds.
func (s Sample) CPUPerRequest() float64 {
	return float64(s.CPU.Nanoseconds()) / 1e3 / float64(s.Requests)
}

// AllocationsPerRequest is a number of objects.
func (s Sample) AllocationsPerRequest() float64 { return s.Allocations / float64(s.Requests) }

// Throughput is in requests a second.
func (s Sample) Throughput() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

// Series are the samples of one peer, one a round.
type Series struct {
	Name    string // for programs
	What    string // for people
	Ours    bool   // not somebody else's
	Samples []Sample
}

// Run is what was measured of peers that do the same work: in each round every series has a sample. The series called Baseline is
// what the others are compared with.
type Run struct {
	Name     string // for people
	Baseline string
	Series   []Series
	Targets  []Target
}

// Target is the CPU that one series should take at most, as a multiple of another's; both by name.
type Target struct {
	Of, Than string
	AtMost   float64
}

// Spread is a figure over all rounds.
type Spread struct{ Median, Min, Max float64 }

// Known tells whether there was anything to measure.
func (s Spread) Known() bool { return s.Median > 0 && !math.IsInf(s.Median, 0) }

func newSpread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// spread returns a figure of a series over all rounds.
func (s Series) spread(figure func(Sample) float64) Spread {
	values := make([]float64, len(s.Samples))
	for i, sample := range s.Samples {
		values[i] = figure(sample)
	}
	return newSpread(values)
}

// ratio returns a figure of a series as a multiple of the baseline's in the same round. It is not Known without a baseline, nor
// where one of the two has no such figure.
func (r Run) ratio(s Series, figure func(Sample) float64) Spread {
	return ratio(s, r.series(r.Baseline), figure)
}

// series returns the series with a name, an empty one if there is none.
func (r Run) series(name string) Series {
	if i := slices.IndexFunc(r.Series, func(s Series) bool { return s.Name == name }); i >= 0 {
		return r.Series[i]
	}
	return Series{}
}

func ratio(of, than Series, figure func(Sample) float64) Spread {
	var values []float64
	for i := range min(len(of.Samples), len(than.Samples)) {
		if own, theirs := figure(of.Samples[i]), figure(than.Samples[i]); own > 0 && theirs > 0 {
			values = append(values, own/theirs)
		}
	}
	return newSpread(values)
}
