package faults_test

import (
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// TestKill kills the replicas of each service in turn, again and again, while clients ask.
func TestKill(t *testing.T) {
	t.Parallel()
	const rounds = 3
	for _, service := range []string{"sender", "receiver", "papyrus"} {
		t.Run(service, func(t *testing.T) {
			s := newSystem(t, program.Settings{})
			clients := s.startLoad(8)
			clients.goOn(100)
			var started time.Time
			for range rounds {
				for _, replica := range s.service(service).backends {
					replica.Kill()
					clients.goOn(50)
					replica.Start()
					started = time.Now()
					clients.recover()
				}
			}
			clients.finish(s)
			t.Logf("%d kills, the last failure came %v after the last start", 2*rounds, clients.lastAfter(started))
		})
	}
}
