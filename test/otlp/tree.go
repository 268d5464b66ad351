package otlp

import (
	"slices"
	"strings"
)

// Tree prints spans as a tree, a line for each, with two spaces for each level. Roots are the children of parent. Siblings stand in the
// order in which they came; label says what a line holds.
func Tree(spans []Span, parent string, label func(Span) string) string {
	var out strings.Builder
	grow(&out, spans, parent, 0, label)
	return out.String()
}

func grow(out *strings.Builder, spans []Span, parent string, depth int, label func(Span) string) {
	for s := range slices.Values(spans) {
		if s.Parent != parent {
			continue
		}
		out.WriteString(strings.Repeat("  ", depth) + label(s) + "\n")
		grow(out, spans, s.ID, depth+1, label)
	}
}
