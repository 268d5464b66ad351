package faults_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// TestClock sets the clock of the sender, then that of the receiver, ten minutes ahead and ten behind, and right again. Nothing passes
// meanwhile, the operator is told which way and how far, and all that was refused is accepted when the clock is right.
func TestClock(t *testing.T) {
	t.Parallel()
	const off, requests = 10 * time.Minute, 10
	binary := buildShifted(t)
	tests := []struct {
		service string
		by      time.Duration
		told    string // the receiver to its operator, of the sender's clock
	}{
		{"sender", off, "10m0s ahead"},
		{"sender", -off, "10m0s behind"},
		{"receiver", off, "10m0s behind"},
		{"receiver", -off, "10m0s ahead"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("the %s's by %v", tt.service, tt.by), func(t *testing.T) {
			t.Parallel()
			shift := filepath.Join(t.TempDir(), "shift")
			n := newTrio(t, program.Settings{"CLOCK_SHIFT": shift})
			wrong := map[string]*program.Process{"sender": n.sender, "receiver": n.receiver}[tt.service]
			wrong.Stop(os.Interrupt)
			wrong.Under = []string{"/bin/sh", "-c", `shift && exec "$0" "$@"`, binary}
			wrong.Start()
			client := newClient()
			send := func(text string) string {
				return outcome(client.Post(n.sender.URL("sender")+"/send", clockEvent(text)))
			}
			all := func(name, want string) {
				t.Helper()
				for i := range requests {
					if got := send(fmt.Sprint(i)); got != want {
						t.Fatalf("%s, request %d: %s, want %s", name, i, got, want)
					}
				}
			}

			heard := wire.Sign("k1", n.key, clockEvent("heard"), time.Now())
			if a, err := client.Inbox(n.receiver.URL("receiver"), heard); outcome(a, err) != "200" {
				t.Fatal(a, err)
			}
			setShift(t, shift, tt.by)
			all("wrong", "502 RECEIVER_MISCONFIGURED")
			if refused := n.receiver.Metric(`provisioner_signature_refusals_total{cause="timestamp"}`); refused != requests {
				t.Errorf("%v refusals are counted, want %d", refused, requests)
			}
			if !strings.Contains(n.receiver.Output(), tt.told) {
				t.Errorf("the receiver does not say %q", tt.told)
			}
			if !strings.Contains(n.sender.Output(), "STALE_TIMESTAMP") {
				t.Error("the sender does not say STALE_TIMESTAMP")
			}

			setShift(t, shift, 0)
			all("right again", "200") // at once, and the same bodies
			if a, err := client.Inbox(n.receiver.URL("receiver"), heard); outcome(a, err) != "409 REPLAY_DETECTED" {
				t.Errorf("a request of before, again: %v, %v", a, err)
			}
			stored := n.receiver.Events()
			for i := range requests {
				if stored[clockEvent(fmt.Sprint(i))] != 1 {
					t.Errorf("event %d is stored %d times", i, stored[clockEvent(fmt.Sprint(i))])
				}
			}
		})
	}
}

func clockEvent(text string) string {
	return fmt.Sprintf(`{"userId":"reader","action":"page_turned","sentAt":"2026-03-20T10:15:30.000Z","n":%q}`, text)
}

func setShift(t *testing.T, path string, by time.Duration) {
	t.Helper()
	if err := os.WriteFile(path+"~", []byte(by.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

// buildShifted builds the program with another clock where sender and receiver are put together, and returns its path. A process's clock
// cannot be set from outside: the kernel shifts only the monotonic one, and Go's programs ask without the C library.
func buildShifted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	services := filepath.Join(root, "cmd", "services.go")
	source, err := os.ReadFile(services)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(source), "time.Now", "shifted")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		services: filepath.Join(dir, "services.go"), filepath.Join(root, "cmd", "shifted.go"): filepath.Join(root, "test/faults/testdata/shifted.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"services.go": changed, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "provisioner")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, root)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}
