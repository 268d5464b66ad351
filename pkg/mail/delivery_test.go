package mail_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/smtp"
)

// delivery is a rig whose mail goes to a real server, and whose clock is moved by hand.
type delivery struct {
	*rig
	server *smtp.Server
	clock  atomic.Int64 // seconds
}

func newDelivery(t *testing.T) *delivery {
	t.Helper()
	d := &delivery{rig: newRig(t), server: smtp.Start(t)}
	d.send = newSMTP(t, configFor(d.server)).Send
	d.now = func() time.Time { return time.Unix(d.clock.Load(), 0) }
	return d
}

// await waits until the store holds jobs that are due in so much time.
func (d *delivery) await(t *testing.T, due ...time.Duration) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		jobs, changed := d.store.state()
		var got []time.Duration
		for _, j := range jobs {
			got = append(got, j.NextTryAt.Sub(d.now()))
		}
		if cmp.Equal(got, due) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("jobs due in %v, want %v; log:\n%s", got, due, d.log)
		}
	}
}

func TestDeliveryAfterTrouble(t *testing.T) {
	for _, tt := range []struct {
		name        string
		begin, mend func(*smtp.Server)
	}{
		{"a 4xx answer", func(s *smtp.Server) { s.Refuse(1, 451) }, func(*smtp.Server) {}},
		{"a server that is down", (*smtp.Server).Stop, (*smtp.Server).Start},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDelivery(t)
			tt.begin(d.server)
			outbox := d.outbox()
			run(t, outbox)
			d.mustEnqueue(t, outbox, reader)
			d.await(t, 30*time.Second)

			tt.mend(d.server)
			d.clock.Add(30)
			outbox.Wake()
			d.await(t)
			if got := d.server.Messages(); len(got) != 1 || !strings.Contains(got[0].Text, "\nVerification token: "+token+"\n") {
				t.Errorf("got %d messages: %+v", len(got), got)
			}
			if log := d.log.String(); strings.Count(log, "mail not sent yet") != 1 || strings.Contains(log, reader) || strings.Contains(log, token) {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

func TestDeliveryToARefusedRecipient(t *testing.T) {
	d := newDelivery(t)
	d.server.Refuse(1, 550)
	outbox := d.outbox()
	run(t, outbox)
	d.mustEnqueue(t, outbox, reader)
	d.await(t)
	if n := len(d.server.Messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
	if log := d.log.String(); !strings.Contains(log, "answer 550 5.1.1") || strings.Contains(log, reader) {
		t.Errorf("log:\n%s", log)
	}
}

func TestDeliveryAfterARestart(t *testing.T) {
	d := newDelivery(t)
	d.server.Stop()
	before := d.outbox()
	stop := run(t, before)
	d.mustEnqueue(t, before, reader)
	d.await(t, 30*time.Second)
	stop()

	d.server.Start()
	d.clock.Add(30)
	run(t, d.outbox())
	d.await(t)
	if n := len(d.server.Messages()); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
}
