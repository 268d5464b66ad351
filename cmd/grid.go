package cmd

import (
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"

	"github.com/provisioner/provisioner/pkg/text"
)

// grid is a table of texts that others chose. Its columns are aligned by how wide a terminal shows them, which is twice as wide for some
// scripts.
type grid struct {
	widest []int // of a cell of each column
	rows   [][]string
}

// add adds a row, whose cells are made safe for a terminal and cut to the widest of their column.
func (g *grid) add(cells ...string) {
	for i, s := range cells {
		cells[i] = runewidth.Truncate(shown(s), g.widest[i], "…")
	}
	g.rows = append(g.rows, cells)
}

// lines returns the rows as lines, without blanks at their end.
func (g *grid) lines() []string {
	width := make([]int, len(g.widest))
	for _, row := range g.rows {
		for i, s := range row {
			width[i] = max(width[i], runewidth.StringWidth(s))
		}
	}
	lines := make([]string, len(g.rows))
	for n, row := range g.rows {
		var b strings.Builder
		for i, s := range row {
			b.WriteString(runewidth.FillRight(s, width[i]+2))
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

func (g *grid) writeTo(w io.Writer) error {
	if len(g.rows) == 0 {
		return nil
	}
	_, err := io.WriteString(w, strings.Join(g.lines(), "\n")+"\n")
	return err
}

// longestCell is how much of a text that somebody else chose is shown outside of a table, in bytes.
const longestCell = 254

// cell is as much of shown as fits in a line.
func cell(s string) string { return text.Line(shown(s), longestCell) }

// shown returns s as one line without what would act on a terminal, or have it show the text in another order.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case actsOnTerminal(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// harmless returns s, of several lines, without what would act on a terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && actsOnTerminal(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// actsOnTerminal reports whether a terminal would do something for r, or show the text around it in another order.
func actsOnTerminal(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
