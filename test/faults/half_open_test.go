package faults_test

import (
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// TestHalfOpen leaves the established connections of a service open and dead, as a firewall does that forgot them. Nothing ever says so:
// only time tells. New connections pass.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		of   func(s *system) *passage
	}{
		{"to Postgres", func(s *system) *passage { return s.wire }},
		{"to the receivers", func(s *system) *passage { return s.receivers.passage }},
		{"to papyrus", func(s *system) *passage { return s.papyri.passage }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, program.Settings{})
			clients := s.startLoad(8)
			clients.goOn(100)
			began, frozen := time.Now(), tt.of(s).freeze()
			clients.recover()
			clients.finish(s)
			t.Logf("%d connections died, the last request failed after %v", frozen, clients.lastAfter(began))
		})
	}
}
