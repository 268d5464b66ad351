package cmd

import (
	"context"
	"fmt"
	"os"
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

const ctrlC = 0x03

// onScreen shows the library on a terminal, until ctx ends, or q or Ctrl-C is typed at the keyboard, if there is one.
func (w *watching) onScreen(ctx context.Context, screen, keyboard *os.File) error {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	if keyboard != nil {
		before, err := term.MakeRaw(int(keyboard.Fd()))
		if err != nil {
			return err
		}
		defer func() { _ = term.Restore(int(keyboard.Fd()), before) }()
		go awaitQuit(keyboard, quit)
	}
	if _, err := screen.WriteString(enterScreen); err != nil {
		return err
	}
	defer func() { _, _ = screen.WriteString(leaveScreen) }()
	return w.redraw(ctx, screen)
}

// awaitQuit reads keys until one of them ends the watch.
func awaitQuit(keyboard *os.File, quit func()) {
	key := make([]byte, 1)
	for {
		if n, err := keyboard.Read(key); err != nil || n == 1 && (key[0] == 'q' || key[0] == 'Q' || key[0] == ctrlC) {
			quit()
			return
		}
	}
}

// redraw draws whenever there is something else to show.
func (w *watching) redraw(ctx context.Context, screen *os.File) error {
	snapshots, status := w.store.Changes(ctx), w.app.library.StatusChanges(ctx)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var all, books []library.Book
	var short map[string]string
	var drawn string
	for {
		select {
		case snapshot, open := <-snapshots:
			if !open {
				return w.end(ctx)
			}
			all, books, short = snapshot.Books, w.want.of(snapshot.Books), snapshot.ShortIDs()
		case _, open := <-status:
			if !open {
				status = nil
			}
		case <-ticker.C:
		}
		columns, rows, err := term.GetSize(int(screen.Fd()))
		if err != nil {
			return err
		}
		text := screenOf(w.title(ctx, len(all)), short, books, columns, rows)
		if text != drawn {
			drawn = text
			if _, err := screen.WriteString(text); err != nil {
				return err
			}
		}
	}
}

// besides are the lines of a screen that are not of books: a title, the names of columns, what else there is, and two blank ones.
const besides = 5

// screenOf returns what a screen of that size is to show: a title, as much of the table of books as fits, and how much does not.
func screenOf(title string, short map[string]string, books []library.Book, columns, rows int) string {
	fit := min(len(books), max(rows-besides, 0))
	last := "q quits"
	if hidden := len(books) - fit; hidden > 0 {
		last = fmt.Sprintf("%d more, which do not fit · q quits", hidden)
	}
	lines := append([]string{title, ""}, shelf(short, books[:fit]).lines()...)
	lines = lines[:min(len(lines), max(rows-2, 0))]
	for len(lines) < rows-1 {
		lines = append(lines, "")
	}
	var b strings.Builder
	b.WriteString(toTop)
	for _, l := range lines {
		b.WriteString(runewidth.Truncate(l, columns, "…") + endLine)
	}
	b.WriteString(runewidth.Truncate(last, columns, "…") + endScreen)
	return b.String()
}
