// Package supabase_test has Supabase's own client library, in Node, sign up, in and out at `provisioner serve papyrus`.
package supabase_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/daemon"
)

// line is what session.mjs prints of a step.
type line struct {
	Step    string   `json:"step"`
	Error   *failure `json:"error"`
	User    *user    `json:"user"`
	Session *session `json:"session"`
}

type failure struct {
	Name   string `json:"name"`
	Status int    `json:"status"`
	Code   string `json:"code"`
}

type user struct {
	ID       string            `json:"id"`
	Email    string            `json:"email"`
	Role     string            `json:"role"`
	Audience string            `json:"aud"`
	Metadata map[string]string `json:"metadata"`
}

type session struct {
	Type      string `json:"type"`
	ExpiresIn int    `json:"expiresIn"` // seconds
	Parts     int    `json:"parts"`     // of the access token
}

func TestSupabaseJS(t *testing.T) {
	url := servePapyrus(t)
	cmd := exec.CommandContext(t.Context(), "node", "session.mjs", url)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node session.mjs: %v: run `make deps` if it misses its library\n%s", err, &stderr)
	}
	got := parse(t, out)

	if len(got) == 0 || got[0].User == nil {
		t.Fatalf("nobody signed up: %s", out)
	}
	reader := &user{ID: got[0].User.ID, Email: "reader@example.com", Role: "authenticated", Audience: "authenticated", Metadata: map[string]string{"display_name": "Zoë"}}
	claims := &user{ID: reader.ID, Email: reader.Email, Role: reader.Role, Audience: reader.Audience}
	begun := &session{Type: "bearer", ExpiresIn: 3600, Parts: 3}
	refused := func(status int, code string) *failure { return &failure{"AuthApiError", status, code} }
	missing := &failure{Name: "AuthSessionMissingError", Status: 400}
	want := []line{
		{Step: "sign up", User: reader, Session: begun},
		{Step: "get the user", User: reader},
		{Step: "refresh", User: reader, Session: begun},
		{Step: "get the user again", User: reader},
		{Step: "sign out"},
		{Step: "get the user of the ended session", Error: missing}, // what the library makes of session_not_found
		{Step: "refresh the ended session", Error: refused(400, "refresh_token_not_found")},
		{Step: "sign in", User: reader, Session: begun},
		{Step: "sign in elsewhere", User: reader, Session: begun},
		{Step: "sign out the others"},
		{Step: "get the user elsewhere", Error: missing},
		{Step: "get the user here", User: reader},
		{Step: "verify the claims", User: claims},
		{Step: "wrong password", Error: refused(400, "invalid_credentials")},
		{Step: "unknown user", Error: refused(400, "invalid_credentials")},
		{Step: "existing user", Error: refused(422, "user_already_exists")},
		{Step: "weak password", Error: &failure{"AuthWeakPasswordError", 422, "weak_password"}},
		{Step: "bad email", Error: refused(400, "validation_failed")},
		{Step: "recover"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the session (-want +got):\n%s", diff)
	}
}

func parse(t *testing.T, out []byte) []line {
	t.Helper()
	var lines []line
	for scanner := bufio.NewScanner(bytes.NewReader(out)); scanner.Scan(); {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", scanner.Bytes(), err)
		}
		lines = append(lines, l)
	}
	return lines
}

// servePapyrus runs the accounts service until t ends, and returns its base URL.
func servePapyrus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "provisioner")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/provisioner/provisioner")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	addr, url := mustAddr(t)
	admin, _ := mustAddr(t)
	cmd := exec.Command(program, "serve", "papyrus")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "DATA_DIR=" + filepath.Join(dir, "data"), "PAPYRUS_ADDR=" + addr, "ADMIN_ADDR=" + admin,
		"PUBLIC_BASE_URL=" + url,
	}
	process, err := daemon.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Stop(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("serve papyrus: %s", process.Output())
		}
	})
	if err := process.Await(func() error { return healthy(url) }); err != nil {
		t.Fatal(err)
	}
	return url
}

func mustAddr(t *testing.T) (addr, url string) {
	t.Helper()
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	return addr, "http://" + addr
}

func healthy(url string) error {
	resp, err := http.Get(url + "/health")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health is %s", resp.Status)
	}
	return nil
}
