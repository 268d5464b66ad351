package faults_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// soakSamples is how often each process is looked at.
const soakSamples = 180

// measure is something that a process uses and that must not grow.
type measure struct {
	name   string  // the metric
	share  float64 // by how much the last third may be above the second
	margin float64 // and beyond that, in units of the metric
	unit   float64 // of the log
}

var measures = []measure{
	{"process_resident_memory_bytes", 0.10, 8 << 20, 1 << 20},
	{"go_memstats_heap_inuse_bytes", 0.15, 6 << 20, 1 << 20},
	{"go_goroutines", 0.05, 10, 1},
	{"process_open_fds", 0.05, 10, 1},
}

// TestSoak asks steadily for three minutes, or for as long as SOAK says ("1h"), and looks at what the processes use.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := 3 * time.Minute
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	n := newTrio(t, program.Settings{"LOG_LEVEL": "warn"})
	all := program.Start(t, "all", n.settings.With(program.Settings{"DATA_DIR": t.TempDir()}))
	loads := []*load{
		n.startLoad(4, 40*time.Millisecond),
		startLoad(t, allOf(all, n.key), 4, 40*time.Millisecond),
	}

	processes := []*program.Process{n.sender, n.receiver, n.papyrus, all}
	seen := map[string][]float64{}
	tick := time.NewTicker(length / soakSamples)
	defer tick.Stop()
	for range soakSamples {
		<-tick.C // what is measured
		for name, value := range look(processes) {
			seen[name] = append(seen[name], value)
		}
	}
	for i, l := range loads {
		l.stop()
		l.check(t, []string{n.database(), all.Env["DATA_DIR"] + "/provisioner.db"}[i])
		if requests, failed := l.counts(); failed > 0 {
			t.Errorf("%d of %d requests failed", failed, requests)
		}
	}
	for _, p := range processes {
		for _, m := range measures {
			if err := m.judge(t, p.Service, seen[p.Service+" "+m.name]); err != nil {
				t.Error(err)
			}
		}
	}
}

// look returns what each process uses, by its service and the name of the metric.
func look(processes []*program.Process) map[string]float64 {
	values := map[string]float64{}
	var mu sync.Mutex
	var looking sync.WaitGroup
	for _, p := range processes {
		looking.Go(func() {
			page := p.Metrics()
			mu.Lock()
			defer mu.Unlock()
			for _, m := range measures {
				values[p.Service+" "+m.name] = program.Sample(page, m.name)
			}
		})
	}
	looking.Wait()
	return values
}

func (m measure) judge(t *testing.T, service string, seen []float64) error {
	t.Helper()
	second, last := thirds(seen)
	t.Logf("%s: %s: the second third %.1f, the last %.1f", service, m.name, second/m.unit, last/m.unit)
	if slices.Min(seen) < 0 {
		return fmt.Errorf("%s: %s was not to be seen", service, m.name)
	}
	if grows(seen, m.share, m.margin) {
		return fmt.Errorf("%s: %s grew from %.1f to %.1f", service, m.name, second/m.unit, last/m.unit)
	}
	return nil
}

// grows reports whether the median of the last third of samples lies above that of the second by more than a share of it and a margin.
// The first third is left out: it fills pools and caches.
func grows(samples []float64, share, margin float64) bool {
	second, last := thirds(samples)
	return last > second*(1+share)+margin
}

// thirds returns the medians of the second and the last third of samples.
func thirds(samples []float64) (second, last float64) {
	third := len(samples) / 3
	return middle(samples[third : 2*third]), middle(samples[2*third:])
}

func middle(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}

func TestGrows(t *testing.T) {
	series := func(n int, at func(i int) float64) []float64 {
		samples := make([]float64, n)
		for i := range samples {
			samples[i] = at(i)
		}
		return samples
	}
	tests := []struct {
		name    string
		samples []float64
		want    bool
	}{
		{"flat", series(180, func(int) float64 { return 100 }), false},
		{"a saw, as a heap is", series(180, func(i int) float64 { return 100 + float64(i%20) }), false},
		{"a start that fills caches", series(180, func(i int) float64 { return min(float64(i)*10, 500) }), false},
		{"single peaks at the end", series(180, func(i int) float64 {
			if i > 120 && i%10 == 0 {
				return 10_000
			}
			return 100
		}), false},
		{"a step in the last third", series(180, func(i int) float64 { return 100 + 50*float64(i/120) }), true},
		{"a leak", series(180, func(i int) float64 { return 100 + float64(i) }), true},
		{"a leak that a saw hides", series(180, func(i int) float64 { return 100 + float64(i) + float64(i%20) }), true},
		{"less at the end", series(180, func(i int) float64 { return 500 - float64(i) }), false},
	}
	for _, tt := range tests {
		if got := grows(tt.samples, 0.10, 5); got != tt.want {
			t.Errorf("%s: grows() = %t, want %t", tt.name, got, tt.want)
		}
	}
}
