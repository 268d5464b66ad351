package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// table is a head and the rows below it, all of the same length.
type table [][]string

var head = []string{
	"", "requests/s", "p50", "p99", "CPU a request", "× baseline", "allocations", "× baseline", "memory", "peak memory",
}

// figures returns what was measured, a row for each series.
func (r Run) figures() table {
	rows := table{head}
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

// targets returns how far the targets are met, a row for each whose peers were measured.
func (r Run) targets() table {
	rows := table{{"CPU a request", "target", "measured", ""}}
	for _, t := range r.Targets {
		of, than := r.series(t.Of), r.series(t.Than)
		measured := ratio(of, than, Sample.CPUPerRequest)
		if !measured.Known() {
			continue
		}
		verdict := "met"
		if measured.Median > t.AtMost {
			verdict = "missed"
		}
		rows = append(rows, []string{of.What + " / " + than.What, fmt.Sprintf("≤ %.2f", t.AtMost), measured.String(), verdict})
	}
	return rows
}

// tables returns the tables that have rows.
func (r Run) tables() []table {
	return slices.DeleteFunc([]table{r.figures(), r.targets()}, func(t table) bool { return len(t) == 1 })
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

// Text returns the tables for a terminal.
func (r Run) Text() string { return r.render(table.text) }

// Markdown returns the tables for a page.
func (r Run) Markdown() string { return r.render(table.markdown) }

func (r Run) render(as func(table) string) string {
	var texts []string
	for _, t := range r.tables() {
		texts = append(texts, as(t))
	}
	return strings.Join(texts, "\n")
}

func (t table) text() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, row := range t {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
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

func (t table) markdown() string {
	rule := slices.Repeat([]string{"---:"}, len(t[0]))
	rule[0] = "---"
	var out strings.Builder
	for _, row := range slices.Insert(slices.Clone(t), 1, rule) {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
	}
	return out.String()
}
