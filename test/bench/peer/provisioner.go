package peer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/provisioner/provisioner/test/program"
)

// KeyID names the one key of the ring of our own peers; the others have the form without ids.
const KeyID = "k1"

// production are the settings that all our peers have. A limit is counted, but never reached.
func (r *Rig) production(name string) (program.Settings, error) {
	keys, err := json.Marshal(map[string]string{KeyID: r.Secret})
	return program.Settings{
		"LOG_FORMAT": "json", "LOG_LEVEL": "info", "DRAIN_DELAY": "0s", "DATA_DIR": r.path(name + "-data"),
		"SIGNING_KEYS": string(keys), "ACTIVE_KEY_ID": KeyID, "RATE_LIMIT_SEND": "1000000000/1m",
	}, err
}

// twoProcesses starts the sender and the receiver, which asks a Supabase project at supabase.
func (r *Rig) twoProcesses(name, supabase string) (*Peer, error) {
	a, err := addrs(4)
	if err != nil {
		return nil, err
	}
	env, err := r.production(name)
	if err != nil {
		return nil, err
	}
	env["SUPABASE_URL"], env["SUPABASE_ANON_KEY"] = supabase, "anon"
	env["RECEIVER_ADDR"], env["RECEIVER_WORKER_URL"], env["SENDER_ADDR"] = a[0], "http://"+a[0], a[1]
	p := newPair(name, a[1], a[0])
	if err := r.serve(p, "receiver", env, a[2]); err != nil {
		return nil, err
	}
	return p, r.serve(p, "sender", env, a[3])
}

// eventsOnly starts the pair without a provider: events ask none.
func (r *Rig) eventsOnly(name string) (*Peer, error) { return r.twoProcesses(name, program.Nowhere) }

// oneProcess starts all services together, the sender bound to the receiver.
func (r *Rig) oneProcess(name string) (*Peer, error) {
	a, err := addrs(4)
	if err != nil {
		return nil, err
	}
	env, err := r.production(name)
	if err != nil {
		return nil, err
	}
	env["SENDER_ADDR"], env["RECEIVER_ADDR"], env["PAPYRUS_ADDR"] = a[0], a[1], a[2]
	p := newPair(name, a[0], a[1])
	return p, r.serve(p, "all", env, a[3])
}

// serve runs a service that logs to a file, as one does under a container engine.
func (r *Rig) serve(p *Peer, service string, env program.Settings, admin string) error {
	path := r.path(p.Name + "-" + service + ".log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // the process has its own

	cmd := exec.Command(r.program, "serve", service)
	cmd.Env = env.With(program.Settings{"ADMIN_ADDR": admin}).Environ()
	cmd.Stdout, cmd.Stderr = file, file
	if err := r.start(p, cmd, answering("http://"+admin+"/readyz")); err != nil {
		said, _ := os.ReadFile(path) // what is missing then is missed
		return fmt.Errorf("%w\n%s", err, said)
	}
	p.Ours = true
	p.logs = append(p.logs, path)
	p.metrics = append(p.metrics, "http://"+admin+"/metrics")
	return nil
}

// migrate makes a database with the tables of the provisioner, and returns its path.
func (r *Rig) migrate(name string) (string, error) {
	dir := r.path(name + "-data")
	cmd := exec.Command(r.program, "migrate", "up")
	cmd.Dir, cmd.Env = r.dir.Path, program.Settings{"DATA_DIR": dir}.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("migrate: %w\n%s", err, out)
	}
	return filepath.Join(dir, "provisioner.db"), nil
}
