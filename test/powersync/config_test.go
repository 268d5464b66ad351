package powersync_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/npm"
)

// TestServiceSettings checks config/powersync/service.yaml against the schema that PowerSync publishes, and that the check finds faults.
func TestServiceSettings(t *testing.T) {
	const file = "../../config/powersync/service.yaml"
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, old, new string
		want           []string // the places of the faults
	}{
		{"as it is", "", "", []string{}},
		{"an unknown name", "jwks_uri:", "jwks_url:", []string{"/client_auth"}},
		{"a value of another kind", "use_http: true", "use_http: 1", []string{"/healthcheck/probes/use_http"}},
		{"a value that is none of those", "level: info", "level: loud", []string{"/system/logging/level"}},
		{"a connection without a kind of database", "- type: postgresql", "- kind: postgresql", []string{"/replication/connections/0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := filepath.Join(t.TempDir(), "service.yaml")
			if err := os.WriteFile(changed, []byte(strings.Replace(string(good), tt.old, tt.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, faultsOf(t, changed)); diff != "" {
				t.Errorf("the faults (-want +got):\n%s", diff)
			}
		})
	}
}

// faultsOf returns the places of the faults of a service.yaml, each once.
func faultsOf(t *testing.T, file string) []string {
	t.Helper()
	out, err := npm.Command(t, "powersync", "schema.mjs", file).Output()
	if err != nil {
		t.Fatalf("schema.mjs: %v: run `make deps` if a library is missing", err)
	}
	var faults []string
	if err := json.Unmarshal(out, &faults); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	places := []string{}
	for _, fault := range faults {
		if place, _, _ := strings.Cut(fault, " "); len(places) == 0 || places[len(places)-1] != place {
			places = append(places, place)
		}
	}
	return places
}

// TestSyncConfig has PowerSync's rule engine compile config/powersync/sync-config.yaml for nobody's rows.
func TestSyncConfig(t *testing.T) {
	engine := npm.Command(t, "powersync", "rules.mjs", "../../config/powersync/sync-config.yaml")
	engine.Stdin = strings.NewReader(`{"user":"3c0b5b0e-4d2e-4b8f-8f9e-0c5a5f3e2d1c","table":"books","columns":[],"rows":[]}`)
	out, err := engine.CombinedOutput()
	if err != nil {
		t.Fatalf("rules.mjs: %v: run `make deps` if a library is missing\n%s", err, out)
	}
	const want = `{"buckets":[{"bucket":"1#user_books|0[\"3c0b5b0e-4d2e-4b8f-8f9e-0c5a5f3e2d1c\"]","priority":1}],"rows":[]}` + "\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("what it makes of it (-want +got):\n%s", diff)
	}
}
