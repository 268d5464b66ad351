package cmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/provisioner/provisioner/pkg/client/library"
)

func TestGridAlignsByWhatIsSeen(t *testing.T) {
	g := &grid{widest: []int{10, 6}}
	g.add("TITLE", "AUTHOR")
	g.add("日本語の本です", "Ada")
	g.add("e\u0301te\u0301", "Bob the second")
	g.add("a\x1b[2Jb\u202ec\u009bd\te\xff", "")
	want := []string{"TITLE      AUTHOR", "日本語の…  Ada", "e\u0301te\u0301        Bob t…", "a[2Jbcd e"}
	if diff := cmp.Diff(want, g.lines()); diff != "" {
		t.Errorf("the lines differ (-want +got):\n%s", diff)
	}
}

func TestJSONHasNothingThatActsOnATerminal(t *testing.T) {
	var b bytes.Buffer
	if err := writeJSON(&b, map[string]string{"title": "a\x1b\u009b\u202e\x7f<\n"}, ""); err != nil {
		t.Fatal(err)
	}
	if want := `{"title":"a\u001b\u009b\u202e\u007f<\n"}` + "\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// TestScreenFits shows that what is drawn never has more lines or columns than the terminal, whatever books are called.
func TestScreenFits(t *testing.T) {
	var snapshot library.Snapshot
	for _, title := range []string{"Emma", strings.Repeat("長", 100), "\x1b[2J\r\n\n\n", strings.Repeat("a", 1000)} {
		snapshot.Books = append(snapshot.Books, library.Book{ID: strings.Repeat(title[:1], 36), Title: title})
	}
	for columns := 1; columns < 60; columns++ {
		for rows := range 9 {
			text := screenOf("ida@example.com · 4 books · in sync", snapshot.ShortIDs(), snapshot.Books, columns, rows)
			lines := strings.Split(text, "\r\n")
			if len(lines) > max(rows, 1) {
				t.Fatalf("%d lines on a screen of %d", len(lines), rows)
			}
			for _, l := range lines {
				l = strings.NewReplacer(toTop, "", "\x1b[K", "", "\x1b[J", "").Replace(l)
				if runewidth.StringWidth(l) > columns || strings.ContainsRune(l, 0x1b) {
					t.Fatalf("line %q on a screen of %d columns", l, columns)
				}
			}
		}
	}
	text := screenOf("title", snapshot.ShortIDs(), snapshot.Books, 80, 5)
	if !strings.Contains(text, "4 more, which do not fit") {
		t.Errorf("it does not say how many do not fit: %q", text)
	}
}
