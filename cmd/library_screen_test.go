package cmd

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// newView returns one of books with these titles, on a screen of 80 columns.
func newView(rows int, titles ...string) *view {
	v := &view{scrolls: true}
	v.resize(80, rows)
	v.set(booksOf(titles...), nil)
	return v
}

// booksOf returns books whose ids are their titles.
func booksOf(titles ...string) []library.Book {
	var books []library.Book
	for _, title := range titles {
		books = append(books, library.Book{ID: title, Title: title})
	}
	return books
}

// linesOf returns what a view shows, without what a terminal is told.
func linesOf(v *view) []string {
	return strings.Split(strings.NewReplacer(toTop, "", "\x1b[K", "", "\x1b[J", "").Replace(v.text("title")), "\r\n")
}

// TestScreenFits shows that what is drawn never has more lines or columns than the terminal, whatever books are called.
func TestScreenFits(t *testing.T) {
	v := newView(24, "Emma", strings.Repeat("長", 100), "\x1b[2J\r\n\n\n", strings.Repeat("a", 1000))
	for columns := 1; columns < 60; columns++ {
		for rows := 1; rows < 10; rows++ {
			v.resize(columns, rows)
			lines := linesOf(v)
			if len(lines) > rows {
				t.Fatalf("%d lines on a screen of %d", len(lines), rows)
			}
			for _, l := range lines {
				if runewidth.StringWidth(l) > columns || strings.ContainsRune(l, escape) {
					t.Fatalf("line %q on a screen of %d columns", l, columns)
				}
			}
		}
	}
}

func TestScreenScrolls(t *testing.T) {
	v := newView(besides+3, "a", "b", "c", "d", "e", "f", "g", "h")
	for _, tt := range []struct {
		key  key
		want string // the titles that are shown
		foot string
	}{
		{keyUp, "a b c", "1 to 3 of 8 · "},
		{keyDown, "b c d", "2 to 4 of 8 · "},
		{keyPageDown, "e f g", "5 to 7 of 8 · "},
		{keyPageDown, "f g h", "6 to 8 of 8 · "},
		{keyDown, "f g h", "6 to 8 of 8 · "},
		{keyNone, "f g h", "6 to 8 of 8 · "},
		{keyPageUp, "c d e", "3 to 5 of 8 · "},
		{keyHome, "a b c", "1 to 3 of 8 · "},
		{keyEnd, "f g h", "6 to 8 of 8 · "},
	} {
		v.scroll(tt.key)
		expectView(t, v, tt.want, tt.foot)
	}

	v.set(booksOf("0", "a", "b", "e2", "f", "g", "h", "i"), nil) // another device adds and removes
	expectView(t, v, "f g h", "5 to 7 of 8 · ")
	v.set(booksOf("0", "a"), nil)
	expectView(t, v, "0 a", "q quits")
	v.set(booksOf("00", "0", "a", "b"), nil)
	expectView(t, v, "00 0 a", "1 to 3 of 4 · ")
	v.scroll(keyEnd)
	v.resize(80, besides+4)
	expectView(t, v, "00 0 a b", "q quits")
	v.scrolls = false
	expectView(t, v, "00 0 a b", "Ctrl-C quits")
	v.set(nil, nil)
	expectView(t, v, "", "Ctrl-C quits")
}

// expectView fails unless a view shows these titles, and has a last line that begins so.
func expectView(t *testing.T, v *view, titles, foot string) {
	t.Helper()
	lines := linesOf(v)
	var got []string
	for _, l := range lines[3 : len(lines)-2] {
		got = append(got, strings.Fields(l)...)
	}
	if strings.Join(got, " ") != titles || !strings.HasPrefix(lines[len(lines)-1], foot) {
		t.Errorf("the screen is %q, want the titles %q and %q", lines, titles, foot)
	}
}

func TestKeys(t *testing.T) {
	typed := "k" + "\x1b[A\x1bOA" + "\x1b[1;5A" + "é" + "\x1bj" + "\x1b\x1b[6~" + "\x1b[" + strings.Repeat("1;", 10_000) + "A" + "\x1b[5~" + "\x1b[1\x03"
	terminal := strings.NewReader(typed + "for the shell")
	keys := make(chan key)
	go func() {
		defer close(keys)
		sendKeys(t.Context(), terminal, keys)
	}()
	var got []key
	for k := range keys {
		got = append(got, k)
	}
	if rest, _ := io.ReadAll(terminal); string(rest) != "for the shell" {
		t.Errorf("it leaves %q", rest)
	}
	want := []key{keyUp, keyUp, keyUp, keyNone, keyNone, keyNone, keyDown, keyPageDown, keyNone, keyPageUp, keyQuit}
	if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
		t.Errorf("the keys differ (-want +got):\n%s", diff)
	}
}
