package e2e_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// BenchmarkSyncSDKFirst reports how long a new device with PowerSync's own SDK takes for a library of 20,000 books.
func BenchmarkSyncSDKFirst(b *testing.B) {
	const books = 20_000
	for _, encoding := range []string{"ndjson", "bson"} {
		b.Run(encoding, func(b *testing.B) {
			eachEngine(b, func(b *testing.B, p *program.Process) {
				b.Helper()
				u := newStreamUsers(b, p, 1)[0]
				for range books / 1000 {
					u.upload(1000)
				}
				node := powersync.Start(b)
				for b.Loop() {
					device := node.NewDevice(rand.Text(), powersync.Options{Backend: u.papyrus, Encoding: encoding, Checkpoints: "legacy"})
					began := time.Now()
					connect(device, u.reader)
					synced := device.Await([]map[string]int{{"n": books}}, "SELECT count(*) AS n FROM books")
					b.ReportMetric(synced.Sub(began).Seconds(), "s")
					device.Close()
				}
			})
		})
	}
}

// BenchmarkSyncSDKCommit reports how long after the request of an upload a device with PowerSync's own SDK shows the change.
func BenchmarkSyncSDKCommit(b *testing.B) {
	eachEngine(b, func(b *testing.B, p *program.Process) {
		b.Helper()
		u := newStreamUsers(b, p, 1)[0]
		device := powersync.Start(b).NewDevice("device", powersync.Options{Backend: u.papyrus, Checkpoints: "legacy"})
		connect(device, u.reader)
		var answered, requested []time.Duration
		books := 0
		for b.Loop() {
			for range 200 {
				books++
				want := []map[string]int{{"n": books}}
				shown := make(chan time.Time)
				go func() { shown <- device.Await(want, "SELECT count(*) AS n FROM books") }()
				began := time.Now()
				u.upload(1)
				done := time.Now()
				at := <-shown
				answered, requested = append(answered, at.Sub(done)), append(requested, at.Sub(began))
			}
		}
		reportQuantiles(b, "answer", answered)
		reportQuantiles(b, "request", requested)
	})
}
