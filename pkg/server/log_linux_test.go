package server

import (
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestTerminalIsColoured(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = terminal.Close() }()
	NewLogger(terminal, "auto", slog.LevelInfo).Info("hello")

	echo := make([]byte, 1024) // a terminal shows what is typed into it, ESC as ^[
	n, err := terminal.Read(echo)
	if got := string(echo[:n]); err != nil || !strings.Contains(got, "^[[") || strings.Contains(got, "{") {
		t.Errorf("the terminal shows %q, %v", got, err)
	}
}
