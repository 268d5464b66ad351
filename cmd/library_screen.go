package cmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// What a terminal is told (ECMA-48, and xterm's for its second screen).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the second screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	endLine     = "\x1b[K\r\n" // and nothing of what was behind
	endScreen   = "\x1b[K\x1b[J"
)

// onScreen shows the library on a terminal, until ctx ends, or q or Ctrl-C is typed at the keyboard, if there is one.
func (w *watching) onScreen(ctx context.Context, screen, keyboard *os.File) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	defer w.app.messages.hold()()
	keys := make(chan key)
	if keyboard != nil {
		before, err := term.MakeRaw(int(keyboard.Fd()))
		if err != nil {
			return err
		}
		defer func() { _ = term.Restore(int(keyboard.Fd()), before) }()
		go sendKeys(ctx, keyboard, keys)
	}
	if _, err := screen.WriteString(enterScreen); err != nil {
		return err
	}
	defer func() { _, _ = screen.WriteString(leaveScreen) }()
	return w.redraw(ctx, screen, &view{scrolls: keyboard != nil}, keys)
}

// redraw draws whenever there is something else to show.
func (w *watching) redraw(ctx context.Context, screen *os.File, v *view, keys <-chan key) error {
	snapshots, status := w.store.Changes(ctx), w.app.library.StatusChanges(ctx)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	count, drawn := "reading", ""
	for {
		select {
		case snapshot, open := <-snapshots:
			if !open {
				return w.end(ctx)
			}
			count = countBooks(len(snapshot.Books))
			v.set(w.want.of(snapshot.Books), snapshot.ShortIDs())
		case _, open := <-status:
			if !open {
				status = nil
			}
		case k := <-keys:
			if k == keyQuit {
				return nil
			}
			v.scroll(k)
		case <-ticker.C:
		}
		columns, rows, err := term.GetSize(int(screen.Fd()))
		if err != nil {
			return err
		}
		if v.resize(columns, rows) {
			drawn = "" // what the terminal has made of it is not known
		}
		if text := v.text(w.title(ctx, count)); text != drawn {
			drawn = text
			if _, err := screen.WriteString(text); err != nil {
				return err
			}
		}
	}
}

// view is the part of a table of books that a terminal shows.
type view struct {
	scrolls       bool // there is a keyboard
	columns, rows int
	books         []library.Book
	table         []string // a line for each book, behind that of the names of columns
	first         int      // the place of the first book that is shown
}

// set shows other books. The first one stays where it is, unless it is the first of all.
func (v *view) set(books []library.Book, short map[string]string) {
	if v.first > 0 {
		isFirst := func(b library.Book) bool { return b.ID == v.books[v.first].ID }
		if i := slices.IndexFunc(books, isFirst); i >= 0 {
			v.first = i
		}
	}
	v.books, v.table = books, shelf(short, books).lines()
	v.move(0)
}

// resize takes the size of the terminal, and reports whether it is another. One that says nothing of its size has that of a VT100.
func (v *view) resize(columns, rows int) bool {
	columns, rows = cmp.Or(columns, 80), cmp.Or(rows, 24)
	resized := columns != v.columns || rows != v.rows
	v.columns, v.rows = columns, rows
	v.move(0)
	return resized
}

func (v *view) scroll(k key) {
	switch k {
	case keyUp:
		v.move(-1)
	case keyDown:
		v.move(1)
	case keyPageUp:
		v.move(-v.fit())
	case keyPageDown:
		v.move(v.fit())
	case keyHome:
		v.move(-len(v.books))
	case keyEnd:
		v.move(len(v.books))
	case keyNone, keyQuit:
	}
}

// move moves the books that are shown by some places, not beyond the ends.
func (v *view) move(places int) {
	v.first = max(0, min(v.first+places, len(v.books)-v.fit()))
}

// besides are the lines of a screen that are not of books: a title, the names of columns, what else there is, and two blank ones.
const besides = 5

// fit is how many books are shown at once.
func (v *view) fit() int { return max(v.rows-besides, 1) }

// text returns what draws the screen.
func (v *view) text(title string) string {
	lines := []string{title, ""}
	if len(v.table) > 0 {
		lines = append(lines, v.table[0])
		lines = append(lines, v.table[1+v.first:1+min(v.first+v.fit(), len(v.books))]...)
	}
	lines = lines[:min(len(lines), max(v.rows-2, 0))]
	for len(lines) < v.rows-1 {
		lines = append(lines, "")
	}
	var b strings.Builder
	b.WriteString(toTop)
	for _, l := range lines {
		b.WriteString(runewidth.Truncate(l, v.columns, "…") + endLine)
	}
	b.WriteString(runewidth.Truncate(v.foot(), v.columns, "…") + endScreen)
	return b.String()
}

// foot says what does not fit, and what a person may do.
func (v *view) foot() string {
	quits := "q quits"
	if !v.scrolls {
		quits = "Ctrl-C quits"
	}
	if len(v.books) <= v.fit() {
		return quits
	}
	part := fmt.Sprintf("%d to %d of %d · ", v.first+1, v.first+v.fit(), len(v.books))
	if v.scrolls {
		part += "↑ ↓ scroll · "
	}
	return part + quits
}
