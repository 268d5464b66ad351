package report

import (
	"fmt"
	"html"
	"strings"
)

// Measures of the plot, in pixels.
const (
	plotWidth   = 760
	plotMargin  = 20
	labelWidth  = 240
	valueWidth  = 110
	titleHeight = 34
	rowHeight   = 26
	barHeight   = 14
)

// plotHead has its own background: text and bars are legible on it wherever the picture is shown.
const plotHead = `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="CPU time a request">
<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 } .value { text-anchor: end; font-variant-numeric: tabular-nums }
  .panel { fill: #ffffff } .ours { fill: #0969da } .other { fill: #afb8c1 } .spread, .baseline { stroke: #1f2328 } .baseline { stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .panel { fill: #0d1117 } .ours { fill: #4493f8 } .other { fill: #57606a } .spread, .baseline { stroke: #e6edf3 }
  }
</style>
<rect class="panel" width="100%%" height="100%%" rx="6"/>
`

// Plot returns an SVG of the CPU time a request: a group of bars for each run, a bar for each series up to its median, a line from
// the least to the most, and the baseline as a dashed line.
func Plot(runs []Run) string {
	height := 2 * plotMargin
	for _, r := range runs {
		height += titleHeight + rowHeight*len(r.Series)
	}
	var out strings.Builder
	fmt.Fprintf(&out, plotHead, plotWidth, height)
	top := plotMargin
	for _, r := range runs {
		plotRun(&out, r, top)
		top += titleHeight + rowHeight*len(r.Series)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// plotRun draws the group of a run below top.
func plotRun(out *strings.Builder, r Run, top int) {
	most := 0.0
	for _, s := range r.Series {
		most = max(most, s.spread(Sample.CPUPerRequest).Max)
	}
	left := plotMargin + labelWidth
	at := func(value float64) float64 {
		return float64(left) + value/most*float64(plotWidth-labelWidth-valueWidth-2*plotMargin)
	}
	fmt.Fprintf(out, `<text class="title" x="%d" y="%d">%s: CPU time a request, µs</text>`+"\n", plotMargin, top+16, html.EscapeString(r.Name))
	for i, s := range r.Series {
		plotBar(out, r, s, top+titleHeight+i*rowHeight, at)
	}
	for _, s := range r.Series {
		if s.Name == r.Baseline {
			fmt.Fprintf(out, `<line class="baseline" x1="%.1f" x2="%[1]f" y1="%d" y2="%d"/>`+"\n",
				at(s.spread(Sample.CPUPerRequest).Median), top+titleHeight-6, top+titleHeight+rowHeight*len(r.Series)-6)
		}
	}
}

func plotBar(out *strings.Builder, r Run, s Series, top int, at func(float64) float64) {
	cpu, class := s.spread(Sample.CPUPerRequest), "other"
	if s.Ours {
		class = "ours"
	}
	value := fmt.Sprintf("%.0f", cpu.Median)
	if ratio := r.ratio(s, Sample.CPUPerRequest); ratio.Known() {
		value += fmt.Sprintf(" (%.2f ×)", ratio.Median)
	}
	middle := float64(top) + barHeight/2
	fmt.Fprintf(out, `<text x="%d" y="%d">%s</text>`, plotMargin, top+barHeight-2, html.EscapeString(s.What))
	fmt.Fprintf(out, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"/>`, class, at(0), top, at(cpu.Median)-at(0), barHeight)
	fmt.Fprintf(out, `<line class="spread" x1="%.1f" x2="%.1f" y1="%.1f" y2="%[3]f"/>`, at(cpu.Min), at(cpu.Max), middle)
	fmt.Fprintf(out, `<text class="value" x="%d" y="%d">%s</text>`+"\n", plotWidth-plotMargin, top+barHeight-2, value)
}
