package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// write writes n as two tables.
func write(out io.Writer, n Needs) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "%s users on a day, %s streams open at once\n\n", short(n.Active), short(n.Streams))
	_, _ = fmt.Fprintln(w, "service\trequests/s\tcores busy\tmemory\treplicas\t")
	for _, s := range n.Services {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%.1f\t%sB\t%s\t\n", s.Name, short(s.Requests), s.Cores, short(s.Memory), short(s.Replicas))
	}
	_, _ = fmt.Fprintln(w, "\nwhat breaks first\tneed\tbound\tshare\t")
	for _, b := range n.Bounds {
		_, _ = fmt.Fprintf(w, "%s\t%s%s\t%s%s\t%.0f %%\t\n", b.Name, short(b.Need), b.Unit, short(b.Bound), b.Unit, 100*b.share())
	}
	return w.Flush() // tells of every failed write
}

// short writes a figure in three digits: 950, 1.2 k, 3.4 M.
func short(v float64) string {
	for _, unit := range []string{"", " k", " M", " G"} {
		if v < 999.5 {
			return trim(v) + unit
		}
		v /= 1000
	}
	return trim(v) + " T"
}

func trim(v float64) string {
	if v >= 9.95 || v == float64(int(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
