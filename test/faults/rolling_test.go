package faults_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
)

// TestRollingRestarts restarts the replicas of each service one after the other, as an upgrade does, while clients keep their
// connections. No request may fail. FAULTS=full makes it 20 restarts of each service and 100,000 requests.
func TestRollingRestarts(t *testing.T) {
	rounds, least := 2, 3000
	if os.Getenv("FAULTS") == "full" {
		rounds, least = 20, 100_000
	}
	s := newSystem(t, program.Settings{"DRAIN_DELAY": "1s"})
	services := []*balancer{s.papyri, s.receivers, s.senders}
	clients := s.startLoad(32)
	began := time.Now()
	for range rounds {
		for _, b := range services {
			for _, replica := range b.backends {
				b.restart(replica)
				clients.goOn(least / (rounds * len(services) * len(b.backends)))
			}
		}
		if _, failed := clients.counts(); failed > 0 {
			break
		}
	}
	clients.finish(s)
	requests, failed := clients.counts()
	t.Logf("%d restarts of each service in %v", rounds, time.Since(began).Round(time.Second))
	if failed > 0 || requests < least {
		t.Errorf("%d of %d requests failed, want 0 of at least %d", failed, requests, least)
	}
}

// restart ends a replica as an upgrade does and starts it again, while the other serves. It returns when b sends requests to it
// again.
func (b *balancer) restart(r *backend) {
	b.t.Helper()
	if code := r.Stop(syscall.SIGTERM); code != 0 {
		b.t.Errorf("%s: exit code %d after SIGTERM", r.Service, code)
	}
	r.Start()
	program.Eventually(b.t, "the "+r.Service+" gets requests again", r.ready.Load)
}
