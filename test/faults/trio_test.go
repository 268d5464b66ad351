package faults_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// trio is one process of each service on SQLite. The sender reaches the receiver, and the receiver papyrus, by links.
type trio struct {
	t                         testing.TB
	settings                  program.Settings
	key                       string // the signing secret
	sender, receiver, papyrus *program.Process
	toReceiver, toPapyrus     *link
}

// newTrio starts a trio with changes to the settings of all, until t ends.
func newTrio(t testing.TB, changes program.Settings) *trio {
	t.Helper()
	return newTrioWith(t, program.Keyring("k1"), changes)
}

// newTrioWith is newTrio with the keys of a ring.
func newTrioWith(t testing.TB, ring, changes program.Settings) *trio {
	t.Helper()
	s := ring.With(program.Settings{
		"DATA_DIR": filepath.Join(t.TempDir(), "data"), "SUPABASE_ANON_KEY": record.NewSecret("anon key"), "LOG_LEVEL": "info",
		"TIERS": `[{"name":"new","keys":1000000,"per_minute":1000000}]`,
	}).With(changes)
	n := &trio{t: t, settings: s, key: ring.Key("k1")}
	n.papyrus = program.Start(t, "papyrus", s)
	n.toPapyrus = newLink(t, n.papyrus.Addr("papyrus"))
	n.receiver = program.Start(t, "receiver", s.With(program.Settings{"SUPABASE_URL": n.toPapyrus.url()}))
	n.toReceiver = newLink(t, n.receiver.Addr("receiver"))
	n.sender = program.Start(t, "sender", s.With(program.Settings{
		"SUPABASE_URL": n.toPapyrus.url(), "RECEIVER_WORKER_URL": n.toReceiver.url(),
	}))
	return n
}

func (n *trio) database() string { return n.settings["DATA_DIR"] + "/provisioner.db" }

// startLoad starts a load that ends with stop, or with the test.
func (n *trio) startLoad(clients int, pause time.Duration) *load {
	n.t.Helper()
	return startLoad(n.t, target{n.sender.URL("sender"), n.papyrus.URL("papyrus"), n.receiver.URL("receiver"), n.key}, clients, pause)
}

// allOf is what a load asks of a process that is all three services.
func allOf(p *program.Process, key string) target {
	return target{p.URL("sender"), p.URL("papyrus"), p.URL("receiver"), key}
}

// newClient returns a client with connections of its own that waits a little longer than shipped apps do.
func newClient() wire.Client {
	return wire.Client{Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 12 * time.Second}}
}
