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
			var left [2]remains
			for wave := range left {
				var outcomes wire.Counter
				began := time.Now()
				wire.Each(crowd, crowd, func(int) { outcomes.Add(outcome(ask("laptop"))) })
				took = max(took, time.Since(began))
				if outcomes.Seen[tt.want] != crowd { // "no answer" is what takes longer than the client waits
					t.Errorf("after %v: %v, want %d × %s", took, outcomes.Seen, crowd, tt.want)
				}
				left[wave] = n.remains()
			}
			pooled := 3 * max(0, left[1].descriptors-left[0].descriptors) // two for a connection kept at the one end, one at the other
			if left[1].goroutines > left[0].goroutines+pooled+crowd/4 {
				t.Errorf("after %d requests are left %+v, after twice as many %+v", crowd, left[0], left[1])
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

// remains is what sender and receiver have when no request is under way any more. Connections that they keep are among it.
type remains struct{ goroutines, descriptors int }

func (n *trio) remains() remains {
	n.t.Helper()
	var r remains
	for _, p := range []*program.Process{n.sender, n.receiver} {
		program.Eventually(n.t, "nothing is under way at the "+p.Service, func() bool {
			return p.Metric(`provisioner_http_requests_in_flight{service="`+p.Service+`"}`) == 0
		})
		r.goroutines += int(p.Metric("go_goroutines"))
		r.descriptors += int(p.Metric("process_open_fds"))
	}
	return r
}
