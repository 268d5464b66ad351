package report

import (
	"fmt"
	"strings"
	"time"
)

var head = []string{
	"", "requests/s", "p50", "p99", "CPU a request", "× baseline", "allocations", "× baseline", "memory", "at most",
}

// rows returns the cells of the table, without its head.
func (r Run) rows() [][]string {
	var rows [][]string
	for _, s := range r.Series {
		rows = append(rows, []string{
			s.What,
			fmt.Sprintf("%.0f", s.spread(Sample.Throughput).Median),
			milliseconds(s.spread(func(s Sample) float64 { return float64(s.P50) }).Median),
			milliseconds(s.spread(func(s Sample) float64 { return float64(s.P99) }).Median),
			fmt.Sprintf("%.0f µs", s.spread(Sample.CPUPerRequest).Median),
			r.ratio(s, Sample.CPUPerRequest).String(),
			count(s.spread(Sample.AllocationsPerRequest)),
			r.ratio(s, Sample.AllocationsPerRequest).String(),
			megabytes(s.spread(func(s Sample) float64 { return float64(s.Memory) }).Median),
			megabytes(s.spread(func(s Sample) float64 { return float64(s.Peak) }).Max),
		})
	}
	return rows
}

// String shows the median, and least and most behind it.
func (s Spread) String() string {
	if !s.Known() {
		return ""
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

func count(s Spread) string {
	if !s.Known() {
		return ""
	}
	return fmt.Sprintf("%.0f", s.Median)
}

func milliseconds(nanoseconds float64) string {
	return fmt.Sprintf("%.2f ms", nanoseconds/float64(time.Millisecond))
}

func megabytes(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) }

// Text returns the table for a terminal.
func (r Run) Text() string {
	table := append([][]string{head}, r.rows()...)
	widths := make([]int, len(head))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	var out strings.Builder
	for _, row := range table {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-width(cell))
			if i == 0 {
				out.WriteString(cell + pad)
			} else {
				out.WriteString("  " + pad + cell)
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func width(cell string) int { return len([]rune(cell)) }

// Markdown returns the table for a page.
func (r Run) Markdown() string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	line(rule)
	for _, row := range r.rows() {
		line(row)
	}
	return out.String()
}
