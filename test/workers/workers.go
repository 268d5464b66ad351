// Package workers runs the sender and the receiver as Cloudflare Workers in the real runtime, workerd. They stand for the
// Workers that users have; they are no part of the product.
package workers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/npm"
)

const startTimeout = 30 * time.Second

// Bindings are the variables of a Worker under the names of the contract; an empty one is not bound. The sender takes no
// REPLAY_WINDOW_MS, the receiver neither ACTIVE_KEY_ID nor RECEIVER_WORKER_URL.
type Bindings struct {
	SharedSecret      string // SHARED_SECRET
	SigningKeys       string // SIGNING_KEYS: a JSON object from key id to secret
	ActiveKeyID       string // ACTIVE_KEY_ID
	ReplayWindowMS    string // REPLAY_WINDOW_MS; 300000 if not bound
	ReceiverWorkerURL string // RECEIVER_WORKER_URL: a base URL without trailing slash
	SupabaseURL       string // SUPABASE_URL: a base URL without trailing slash
	SupabaseAnonKey   string // SUPABASE_ANON_KEY
}

// environ returns b as the environment from which workerd takes text bindings.
func (b Bindings) environ() []string {
	var env []string
	for name, value := range map[string]string{
		"SHARED_SECRET":       b.SharedSecret,
		"SIGNING_KEYS":        b.SigningKeys,
		"ACTIVE_KEY_ID":       b.ActiveKeyID,
		"REPLAY_WINDOW_MS":    b.ReplayWindowMS,
		"RECEIVER_WORKER_URL": b.ReceiverWorkerURL,
		"SUPABASE_URL":        b.SupabaseURL,
		"SUPABASE_ANON_KEY":   b.SupabaseAnonKey,
	} {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// StartSender runs sender.mjs on a free port of loopback until t ends, and returns its base URL, without trailing slash.
func StartSender(t testing.TB, b Bindings) string {
	t.Helper()
	return start(t, "sender.capnp", b)
}

// StartReceiver runs receiver.mjs like [StartSender] does the sender.
func StartReceiver(t testing.TB, b Bindings) string {
	t.Helper()
	return start(t, "receiver.capnp", b)
}

func start(t testing.TB, config string, b Bindings) string {
	t.Helper()
	w, err := Launch(config, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s: %s", config, w.process.Output())
		}
	})
	return w.URL
}

// Worker is a Worker in a process of its own.
type Worker struct {
	URL string // without trailing slash

	process *daemon.Daemon
	control *os.File
}

// Launch is [StartSender] with "sender.capnp" and [StartReceiver] with "receiver.capnp" for those who are no test: they stop it.
func Launch(config string, b Bindings) (*Worker, error) {
	dir, err := npm.Find("workers")
	if err != nil {
		return nil, err
	}
	program, err := Program()
	if err != nil {
		return nil, err
	}
	control, announce, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "serve", "--control-fd=3", config)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = dir, append(b.environ(), "TZ=UTC"), []*os.File{announce}
	process, startErr := daemon.Start(cmd)
	if err := errors.Join(startErr, announce.Close()); err != nil { // workerd has its own; ours would keep the pipe open
		return nil, errors.Join(err, control.Close())
	}
	w := &Worker{process: process, control: control}
	port, err := announced(control)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", config, err), w.Stop())
	}
	w.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	return w, nil
}

// PID returns the id of the process.
func (w *Worker) PID() int { return w.process.PID() }

// Stop ends the process.
func (w *Worker) Stop() error { return errors.Join(w.process.Stop(syscall.SIGKILL), w.control.Close()) }

// announced reads the port from workerd's first control message, {"event":"listen","socket":"http","port":…}.
func announced(control *os.File) (int, error) {
	if err := control.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return 0, err
	}
	var message struct{ Port int }
	if err := json.NewDecoder(control).Decode(&message); err != nil {
		return 0, fmt.Errorf("wait for the port: %w", err)
	}
	return message.Port, nil
}

// Program returns the path of workerd. npm installs the one package of it that fits the platform.
func Program() (string, error) {
	dir, err := npm.Find("workers")
	if err != nil {
		return "", err
	}
	programs, err := filepath.Glob(filepath.Join(dir, "node_modules/@cloudflare/workerd-*/bin/workerd"))
	if err != nil {
		return "", err
	}
	if len(programs) != 1 {
		return "", fmt.Errorf("no workerd in %s/node_modules: run `make deps`", dir)
	}
	return programs[0], nil
}
