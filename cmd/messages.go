package cmd

import (
	"bytes"
	"io"
	"sync"
)

// messages are what a person is told besides what was asked for. They wait while a terminal shows something that they would be lost in.
type messages struct {
	mu    sync.Mutex
	to    io.Writer
	holds bool
	held  bytes.Buffer
}

// Write implements [io.Writer].
func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holds {
		return m.held.Write(p)
	}
	return m.to.Write(p)
}

// hold has messages wait until release is called, which writes them.
func (m *messages) hold() (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.holds = false
		_, _ = m.held.WriteTo(m.to)
	}
}
