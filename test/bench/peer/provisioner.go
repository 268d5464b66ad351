package peer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// keyID names the one key of the ring of our own peers; the others have the form without ids.
const keyID = "k1"

// settings are environment variables of the provisioner.
type settings map[string]string

// production are the settings that all our peers have. A limit is counted, but never reached.
func (r *Rig) production() (settings, error) {
	keys, err := json.Marshal(map[string]string{keyID: r.secret})
	return settings{
		"PATH": os.Getenv("PATH"), "TZ": "UTC", "LOG_FORMAT": "json", "LOG_LEVEL": "info", "DRAIN_DELAY": "0s",
		"RATE_LIMIT_SEND": "1000000000/1m", "SIGNING_KEYS": string(keys), "ACTIVE_KEY_ID": keyID,
		"SUPABASE_ANON_KEY": "anon",
	}, err
}

// twoProcesses starts the sender and the receiver, which forwards to a Supabase project at supabase.
func (r *Rig) twoProcesses(name, supabase string) (*Peer, error) {
	a, err := addrs(4)
	if err != nil {
		return nil, err
	}
	env, err := r.production()
	if err != nil {
		return nil, err
	}
	env["SUPABASE_URL"], env["DATA_DIR"] = supabase, r.path(name+"-data")
	env["RECEIVER_ADDR"], env["RECEIVER_WORKER_URL"], env["SENDER_ADDR"] = a[0], "http://"+a[0], a[1]
	p := &Peer{Name: name, URL: "http://" + a[1] + "/send", Inbox: "http://" + a[0] + "/inbox"}
	if err := r.serve(p, "receiver", env, a[2]); err != nil {
		return nil, err
	}
	return p, r.serve(p, "sender", env, a[3])
}

// oneProcess starts all services together, the sender bound to the receiver.
func (r *Rig) oneProcess(name string) (*Peer, error) {
	a, err := addrs(4)
	if err != nil {
		return nil, err
	}
	env, err := r.production()
	if err != nil {
		return nil, err
	}
	env["DATA_DIR"] = r.path(name + "-data")
	env["SENDER_ADDR"], env["RECEIVER_ADDR"], env["PAPYRUS_ADDR"] = a[0], a[1], a[2]
	p := &Peer{Name: name, URL: "http://" + a[0] + "/send", Inbox: "http://" + a[1] + "/inbox"}
	return p, r.serve(p, "all", env, a[3])
}

// serve runs a service that logs to a file, as one does under a container engine.
func (r *Rig) serve(p *Peer, service string, env settings, admin string) error {
	log := r.path(p.Name + "-" + service + ".log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // the process has its own

	env = maps.Clone(env)
	env["ADMIN_ADDR"] = admin
	cmd := exec.Command(r.program, "serve", service)
	cmd.Env, cmd.Stdout, cmd.Stderr = env.environ(), file, file
	if err := r.start(p, cmd, answering("http://"+admin+"/readyz")); err != nil {
		said, _ := os.ReadFile(log)
		return fmt.Errorf("%w\n%s", err, said)
	}
	p.logs = append(p.logs, log)
	p.metrics = append(p.metrics, "http://"+admin+"/metrics")
	return nil
}

func (s settings) environ() []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		env = append(env, name+"="+s[name])
	}
	return env
}

// migrate makes a database with the tables of the provisioner, and returns its path.
func (r *Rig) migrate(name string) (string, error) {
	dir := r.path(name + "-data")
	cmd := exec.Command(r.program, "migrate", "up")
	cmd.Dir, cmd.Env = r.dir.Path, []string{"DATA_DIR=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("migrate: %w\n%s", err, out)
	}
	return filepath.Join(dir, "provisioner.db"), nil
}
