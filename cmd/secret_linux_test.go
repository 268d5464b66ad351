package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTerminal returns the two ends of a terminal: the person's, and the program's.
func newTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// TestCtrlCEndsAQuestion interrupts while a password is asked for: the terminal shows again what is typed.
func TestCtrlCEndsAQuestion(t *testing.T) {
	person, program := newTerminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := readHidden(ctx, int(program.Fd()))
		asked <- err
	}()
	for deadline := time.After(30 * time.Second); echoes(t, program); {
		select {
		case <-deadline:
			t.Fatal("nothing is hidden")
		case <-time.After(time.Millisecond):
		}
	}
	interrupt()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Errorf("readHidden() = %v, want Canceled", err)
	}
	if !echoes(t, program) {
		t.Error("the terminal still hides what is typed")
	}
	if _, err := person.WriteString("\n"); err != nil { // ends the reader that is left behind
		t.Error(err)
	}
}
