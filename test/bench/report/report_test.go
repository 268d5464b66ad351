package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/bench/report"
)

// sample is a turn of 1,000 requests in a second.
func sample(cpuMicroseconds, allocations float64) report.Sample {
	return report.Sample{
		Requests: 1000, Elapsed: time.Second, P50: 2 * time.Millisecond, P99: 8 * time.Millisecond,
		CPU: time.Duration(cpuMicroseconds*1000) * time.Microsecond, Allocations: allocations * 1000,
		Memory: 20 << 20, Peak: 30 << 20,
	}
}

// measured is a run whose rounds get slower for all peers alike.
func measured() report.Run {
	return report.Run{Name: "Events", Baseline: "bare", Series: []report.Series{
		{Name: "two-processes", What: "ours <&>", Ours: true, Samples: []report.Sample{sample(50, 30), sample(110, 30), sample(210, 30)}},
		{Name: "bare", What: "theirs", Samples: []report.Sample{sample(100, 20), sample(200, 20), sample(300, 20)}},
		{Name: "nginx", What: "nginx", Samples: []report.Sample{sample(10, 0), sample(20, 0), sample(30, 0)}},
	}, Targets: []report.Target{
		{Of: "two-processes", Than: "bare", AtMost: 0.5},
		{Of: "two-processes", Than: "nginx", AtMost: 6},
		{Of: "two-processes", Than: "haproxy", AtMost: 1},
	}}
}

// TestRatiosAreOfOneRound protects the comparison from a machine that is busy in some rounds: the ratio of the medians would be
// the same here only by chance.
func TestRatiosAreOfOneRound(t *testing.T) {
	want := []string{
		"| ours <&> | 1000 | 2.00 ms | 8.00 ms | 110 µs | 0.55 (0.50–0.70) | 30 | 1.50 (1.50–1.50) | 20 MiB | 30 MiB |\n",
		"| theirs | 1000 | 2.00 ms | 8.00 ms | 200 µs | 1.00 (1.00–1.00) | 20 | 1.00 (1.00–1.00) | 20 MiB | 30 MiB |\n",
		"| nginx | 1000 | 2.00 ms | 8.00 ms | 20 µs | 0.10 (0.10–0.10) |  |  | 20 MiB | 30 MiB |\n",
	}
	got := measured().Markdown()
	for _, row := range want {
		if !strings.Contains(got, row) {
			t.Errorf("no row %q in\n%s", row, got)
		}
	}
}

// TestTargets protects readers from a target that is missed in silence; one whose peer was not measured is neither met nor missed.
func TestTargets(t *testing.T) {
	got := measured().Markdown()
	for _, row := range []string{
		"| ours <&> / theirs | ≤ 0.50 | 0.55 (0.50–0.70) | missed |\n",
		"| ours <&> / nginx | ≤ 6.00 | 5.50 (5.00–7.00) | met |\n",
	} {
		if !strings.Contains(got, row) {
			t.Errorf("no row %q in\n%s", row, got)
		}
	}
	if n := strings.Count(got, "≤"); n != 2 {
		t.Errorf("%d targets in\n%s", n, got)
	}
}

func TestTextLinesUp(t *testing.T) {
	figures, _, _ := strings.Cut(measured().Text(), "\n\n")
	lines := strings.Split(figures, "\n")
	for _, line := range lines {
		if len([]rune(line)) != len([]rune(lines[0])) {
			t.Errorf("a line is not as long as the head:\n%s", measured().Text())
		}
	}
}

func TestWithoutTheBaselineThereAreNoRatios(t *testing.T) {
	run := measured()
	run.Series = run.Series[:1]
	if got := run.Markdown(); !strings.Contains(got, "| 110 µs |  | 30 |  |") {
		t.Error(got)
	}
	if got := report.RatiosOf([]report.Run{run}); len(got) > 0 {
		t.Errorf("RatiosOf() = %v", got)
	}
}

func TestRatiosOf(t *testing.T) {
	got := report.RatiosOf([]report.Run{measured()})
	if want := (report.Ratio{CPU: 0.55, Allocations: 1.5}); len(got) != 1 || got["two-processes"] != want {
		t.Errorf("RatiosOf() = %v, want %v for our peer alone", got, want)
	}
	path := filepath.Join(t.TempDir(), "ratios.json")
	if err := got.Write(path); err != nil {
		t.Fatal(err)
	}
	if read, err := report.ReadRatios(path); err != nil || read["two-processes"] != got["two-processes"] {
		t.Errorf("ReadRatios() = %v, %v", read, err)
	}
}

func TestAgainst(t *testing.T) {
	committed := report.Ratios{"one": {CPU: 1, Allocations: 2}, "two": {CPU: 0.8, Allocations: 1}}
	for _, tt := range []struct {
		name string
		is   report.Ratios
		want []string // parts of the error; none for no error
	}{
		{"the same", committed, nil},
		{"better", report.Ratios{"one": {CPU: 0.5, Allocations: 1}, "two": {CPU: 0.5, Allocations: 0.5}}, nil},
		{"15 % more", report.Ratios{"one": {CPU: 1.15, Allocations: 2.3}, "two": {CPU: 0.92, Allocations: 1.15}}, nil},
		{"more CPU", report.Ratios{"one": {CPU: 1.16, Allocations: 2}, "two": {CPU: 0.8, Allocations: 1}}, []string{
			"one: a request takes 1.16 × the CPU of the baseline, 16 % more than the 1.00 committed",
		}},
		{"more allocations", report.Ratios{"one": {CPU: 1, Allocations: 2}, "two": {CPU: 0.8, Allocations: 1.2}}, []string{
			"two: a request takes 1.20 × the allocations of the baseline, 20 % more than the 1.00 committed",
		}},
		{"both of both", report.Ratios{"one": {CPU: 2, Allocations: 4}, "two": {CPU: 2, Allocations: 2}}, []string{
			"one: a request takes 2.00 × the CPU", "one: a request takes 4.00 × the allocations", "two: a request takes 2.00 × the CPU",
			"two: a request takes 2.00 × the allocations",
		}},
		{"one that was not measured", report.Ratios{"one": {CPU: 1, Allocations: 2}}, []string{"two was not measured"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.is.Against(committed)
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("Against() = %v, want %q", err, tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Against() = %v, want %q", err, part)
				}
			}
		})
	}
	if err := committed.Against(nil); err == nil {
		t.Error("comparing with nothing is no error")
	}
}

func TestWriteDocs(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "performance.md")
	if err := os.WriteFile(page, []byte("before\n<!-- begin: Events -->\nold\n<!-- end -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second replaces what the first wrote
		if err := report.WriteDocs(dir, "3 rounds", []report.Run{measured()}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	want := "before\n<!-- begin: Events -->\n" + measured().Markdown() + "\n3 rounds.\n<!-- end -->\nafter\n"
	if err != nil || string(got) != want {
		t.Errorf("the page is\n%s, want\n%s", got, want)
	}
	plot, err := os.ReadFile(filepath.Join(dir, "performance.svg"))
	if err != nil || !strings.Contains(string(plot), "ours &lt;&amp;&gt;") || !strings.Contains(string(plot), "110 (0.55 ×)") {
		t.Errorf("the plot is\n%s%v", plot, err)
	}

	other := measured()
	other.Name = "Provisioning"
	if err := report.WriteDocs(dir, "3 rounds", []report.Run{other}); err == nil {
		t.Error("a page without the place for a table is no error")
	}
}
