package doctor_test

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/cmd/doctor"
	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
)

// Secrets as they should be, made for these tests.
const (
	keyA = "9f86d8a3c1be47f20a6b5d1e8c7340f2b9ad61c58e03f7741d2a9c6be5f08143"
	keyB = "c41d7be0926fa8351e0b7d94a6f3c2580db1e69f47a82c3590e7fd146b2a8c5e"
	keyC = "5be27a9104dcf8634f1a0e9bc7d2583160fea97b3d48c5120b96e7f4a1d835cc"
	keyD = "e1037fcba94d268f50be3917da640c82f9b75e31a08d4c62b5f4e9a7c31d0286"
)

// settings is an environment in which nothing is wrong.
type settings map[string]string

func sound(t *testing.T, service config.Service) settings {
	t.Helper()
	s := settings{"DATA_DIR": filepath.Join(t.TempDir(), "data")}
	if service == config.Sender || service == config.Receiver {
		maps.Copy(s, settings{
			"SIGNING_KEYS": `{"k1":"` + keyA + `"}`, "ACTIVE_KEY_ID": "k1",
			"SUPABASE_URL": "https://project.supabase.co", "SUPABASE_ANON_KEY": "sb_publishable_x",
		})
	}
	if service == config.Sender {
		s["RECEIVER_WORKER_URL"] = "https://receiver.example.com"
	}
	return s
}

// load returns an installation as the command makes it, with the settings of changes in place of those of a sound one.
func load(t *testing.T, service config.Service, changes settings) *doctor.Installation {
	t.Helper()
	env := sound(t, service)
	maps.Copy(env, changes)
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	o := config.Options{Service: service, Dir: t.TempDir(), LookupEnv: lookup}
	_, report, err := config.Load(o)
	in := &doctor.Installation{Report: report, LookupEnv: lookup, Transport: http.DefaultTransport, Now: time.Now}
	if err != nil && !errors.As(err, &in.Faults) {
		t.Fatal(err)
	}
	if in.Config, _, err = config.LoadPart(o); err != nil {
		t.Fatal(err)
	}
	in.Open = func(ctx context.Context) (*store.DB, error) {
		d := in.Config.Database
		return store.Open(ctx, store.Config{Engine: store.Engine(d.Engine), Path: d.Path, URL: d.URL})
	}
	return in
}

// short returns findings as lines "severity: subject problem", up to the first colon or comma of the problem.
func short(found []doctor.Finding) []string {
	lines := []string{}
	for _, f := range found {
		problem := f.Problem
		if i := strings.IndexAny(problem, ",:"); i >= 0 {
			problem = problem[:i]
		}
		lines = append(lines, string(f.Severity)+": "+f.Subject+" "+problem)
	}
	return lines
}

// wantFindings compares findings with lines, and sees that each has its check and remedy and that none shows a secret.
func wantFindings(t *testing.T, found []doctor.Finding, want []string, secrets ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, short(found)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for _, f := range found {
		if f.Check == "" || f.Remedy == "" {
			t.Errorf("the finding has no check or remedy: %+v", f)
		}
		for _, s := range secrets {
			if text := f.Subject + f.Problem + f.Remedy; s != "" && strings.Contains(text, s) {
				t.Errorf("the finding shows a secret: %+v", f)
			}
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func jwt(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(claims)) + ".c2lnbmF0dXJl"
}
