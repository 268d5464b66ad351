package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// mount is a directory of secrets.
type mount struct {
	t        testing.TB
	dir      string
	versions int
	put      func(m *mount, s program.Settings) // changes the files
	announce func(p *program.Process)           // tells the process, where it does not see by itself
}

// swap changes all files at once, as Kubernetes does: they are links through ..data, which is put in place anew.
func swap(m *mount, s program.Settings) {
	m.versions++
	version := fmt.Sprintf("..version_%d", m.versions)
	m.must(os.Mkdir(filepath.Join(m.dir, version), 0o700))
	for name, value := range s {
		m.must(os.WriteFile(filepath.Join(m.dir, version, name), []byte(value), 0o600))
		link := filepath.Join(m.dir, name)
		if _, err := os.Lstat(link); err != nil {
			m.must(os.Symlink("..data/"+name, link))
		}
	}
	m.must(os.Symlink(version, filepath.Join(m.dir, "..data_tmp")))
	m.must(os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
}

// overwrite changes files that the directory only links to: nothing in it shows that they changed.
func overwrite(m *mount, s program.Settings) {
	for name, value := range s {
		file, link := filepath.Join(m.t.TempDir(), name), filepath.Join(m.dir, name)
		if target, err := os.Readlink(link); err == nil {
			file = target
		} else {
			m.must(os.Symlink(file, link))
		}
		m.must(os.WriteFile(file, []byte(value), 0o600))
	}
}

func (m *mount) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

const (
	reloadsOK    = `provisioner_reloads_total{result="ok"}`
	reloadFailed = `provisioner_reload_failed`
)

// change gives the process other secrets, and returns when it uses them.
func (m *mount) change(p *program.Process, s program.Settings) {
	m.t.Helper()
	before := p.Metric(reloadsOK)
	m.put(m, s)
	m.announce(p)
	program.Eventually(m.t, "the "+p.Service+" has reloaded", func() bool { return p.Metric(reloadsOK) > before })
}

// spoil gives the process secrets that it cannot use, and returns when it has said so.
func (m *mount) spoil(p *program.Process, s program.Settings) {
	m.t.Helper()
	m.put(m, s)
	m.announce(p)
	program.Eventually(m.t, "the "+p.Service+" refuses what it read", func() bool { return p.Metric(reloadFailed) == 1 })
}

func TestKeyRotationUnderLoad(t *testing.T) {
	tests := []struct {
		name     string
		put      func(*mount, program.Settings)
		announce func(*program.Process)
	}{
		{"through a secrets directory that Kubernetes swaps", swap, func(*program.Process) {}},
		{"through SIGHUP", overwrite, func(p *program.Process) { p.Signal(reload) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newMount := func() *mount { return &mount{t: t, dir: t.TempDir(), put: tt.put, announce: tt.announce} }
			atSender, atReceiver := newMount(), newMount()
			both := program.Keyring("k1", "k2")
			k1, k2, newActive := only(both, "k1"), only(both, "k2"), both.With(program.Settings{"ACTIVE_KEY_ID": "k2"})
			atSender.put(atSender, k1)
			atReceiver.put(atReceiver, k1)
			s := program.WithoutIdentity()
			receiver := start(t, "receiver", s.With(program.Settings{"SECRETS_DIR": atReceiver.dir}))
			sender := start(t, "sender", s.With(program.Settings{"SECRETS_DIR": atSender.dir, "RECEIVER_WORKER_URL": receiver.URL("receiver")}))
			clients := startLoad(t, sender.URL("sender"))
			clients.turn()

			atReceiver.change(receiver, both)
			clients.turn()
			atSender.change(sender, newActive)
			clients.turn()
			atReceiver.change(receiver, k2)
			clients.turn()

			broken := program.Settings{"SIGNING_KEYS": k2["SIGNING_KEYS"][:40], "ACTIVE_KEY_ID": "k2"}
			atReceiver.spoil(receiver, broken)
			atSender.spoil(sender, broken)
			clients.turn()
			if a := sign("k1", both.Key("k1"), wire.Event(-1)).mustPost(t, receiver.URL("receiver")); !a.Is(http.StatusUnauthorized, "INVALID_SIGNATURE") {
				t.Errorf("signed by the removed key: %v", a)
			}
			if a := sign("k2", both.Key("k2"), wire.Event(-2)).mustPost(t, receiver.URL("receiver")); a.Status != http.StatusOK {
				t.Errorf("signed by the key that stays: %v", a)
			}
			for p, m := range map[*program.Process]*mount{receiver: atReceiver, sender: atSender} {
				m.change(p, k2)
				if p.Metric(reloadFailed) != 0 {
					t.Errorf("%s: %s is not 0 after a good reload", p.Service, reloadFailed)
				}
			}
			clients.turn()

			acknowledged, failures := clients.end()
			t.Logf("%d requests, %d failed", len(acknowledged)+len(failures), len(failures))
			if len(failures) > 0 {
				t.Errorf("%d requests failed, the first with %s", len(failures), failures[0])
			}
		})
	}
}

// only returns the ring with one of its keys alone.
func only(s program.Settings, id string) program.Settings {
	text, err := json.Marshal(map[string]string{id: s.Key(id)})
	if err != nil {
		panic(err)
	}
	return program.Settings{"SIGNING_KEYS": string(text), "ACTIVE_KEY_ID": id}
}
