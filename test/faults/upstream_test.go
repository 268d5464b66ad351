package faults_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// TestUpstream makes what a service calls slow, silent or rude. The client gets the code that says so in time, nothing is left of
// the calls that waited, and all is well when the other is.
func TestUpstream(t *testing.T) {
	t.Parallel()
	cut := func(l *link) { l.cut() }
	silent := func(l *link) { l.poison("timeout", map[string]int{"timeout": 0}) }
	rude := func(l *link) { l.poison("reset_peer", map[string]int{"timeout": 0}) }
	slow := func(l *link) { l.poison("latency", map[string]int{"latency": 500}) }
	trickle := func(l *link) {
		l.poison("slicer", map[string]int{"average_size": 1, "size_variation": 0, "delay": 100_000})
	}

	toPapyrus := func(n *trio) *link { return n.toPapyrus }
	toReceiver := func(n *trio) *link { return n.toReceiver }
	tests := []struct {
		name  string
		of    func(n *trio) *link
		spoil func(l *link)
		want  string
	}{
		{"papyrus refuses connections", toPapyrus, cut, "502 IDENTITY_UNAVAILABLE"},
		{"papyrus resets connections", toPapyrus, rude, "502 IDENTITY_UNAVAILABLE"},
		{"papyrus is silent", toPapyrus, silent, "504 IDENTITY_TIMEOUT"},
		{"papyrus sends a byte now and then", toPapyrus, trickle, "504 IDENTITY_TIMEOUT"},
		{"papyrus is slow", toPapyrus, slow, "200"},
		{"the receiver refuses connections", toReceiver, cut, "502 RECEIVER_UNREACHABLE"},
		{"the receiver resets connections", toReceiver, rude, "502 RECEIVER_UNREACHABLE"},
		{"the receiver is silent", toReceiver, silent, "504 RECEIVER_TIMEOUT"},
		{"the receiver sends a byte now and then", toReceiver, trickle, "504 RECEIVER_TIMEOUT"},
		{"the receiver is slow", toReceiver, slow, "200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newTrio(t, program.Settings{})
			client := newClient()
			user, err := client.SignUp(n.sender.URL("sender"))
			if err != nil {
				t.Fatal(err)
			}
			ask := func(name string) (wire.Answer, error) {
				return client.Post(n.sender.URL("sender")+"/send", user.KeyRequest(name))
			}
			if a, err := ask("before"); outcome(a, err) != "200" {
				t.Fatalf("before: %v, %v", a, err)
			}

			tt.spoil(tt.of(n))
			const crowd = 20
			var took time.Duration
			var left [2]int
			for wave := range left {
				var outcomes wire.Counter
				began := time.Now()
				wire.Each(crowd, crowd, func(int) { outcomes.Add(outcome(ask("laptop"))) })
				took = max(took, time.Since(began))
				if outcomes.Seen[tt.want] != crowd { // "no answer" is what takes longer than the client waits
					t.Errorf("after %v: %v, want %d × %s", took, outcomes.Seen, crowd, tt.want)
				}
				left[wave] = n.goroutines()
			}
			if left[1] > left[0]+crowd/2 {
				t.Errorf("%d goroutines are left after %d requests, %d after twice as many", left[0], crowd, left[1])
			}

			tt.of(n).mend()
			began := time.Now()
			program.Eventually(t, "a key is made", func() bool { a, err := ask("laptop"); return err == nil && a.Status == http.StatusOK })
			t.Logf("%s: %d answers within %v; all is well %v after the end", tt.want, crowd, took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			if keys := counts(t, n.database(), `SELECT name, count(*) FROM api_keys GROUP BY name`); keys["laptop"] != 1 {
				t.Errorf("the intent that was tried again and again made %d keys", keys["laptop"])
			}
		})
	}
}

// goroutines returns how many the sender and the receiver run when no request is under way any more.
func (n *trio) goroutines() int {
	n.t.Helper()
	for _, p := range []*program.Process{n.sender, n.receiver} {
		program.Eventually(n.t, "nothing is under way at the "+p.Service, func() bool {
			return p.Metric(`provisioner_http_requests_in_flight{service="`+p.Service+`"}`) == 0
		})
	}
	return int(n.sender.Metric("go_goroutines") + n.receiver.Metric("go_goroutines"))
}
