package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/cmd/doctor"
	"github.com/provisioner/provisioner/config"
)

// TestServiceYAML changes one thing of the settings that we ship for a PowerSync Service at a time.
func TestServiceYAML(t *testing.T) {
	const jwks = "https://203.0.113.5/v1/auth/jwks"
	for _, tt := range []struct {
		name, file, old, new string
		env                  settings
		want                 []string
	}{
		{"as we ship it", "service.yaml", "", "", settings{"PS_JWKS_URI": jwks}, nil},
		{"its environment is elsewhere", "service.yaml", "", "", nil, []string{"notice: DIR/service.yaml takes jwks_uri from an environment that is not set here"}},
		{
			"another audience", "service.yaml", "audience: [powersync]", "audience: [other, another]",
			settings{"PS_JWKS_URI": jwks},
			[]string{`error: DIR/service.yaml does not accept the audience "powersync" of POWERSYNC_JWT_AUDIENCE`},
		},
		{
			"other keys", "service.yaml", "", "",
			settings{"PS_JWKS_URI": "https://203.0.113.9/jwks"},
			[]string{"warning: DIR/service.yaml does not fetch its keys from https"},
		},
		{"keys of a private network", "service.yaml", "", "", settings{"PS_JWKS_URI": "http://10.0.0.7:8080/v1/auth/jwks"}, []string{
			"warning: DIR/service.yaml does not fetch its keys from https", "error: DIR/service.yaml fetches keys from a private address",
		}},
		{
			"keys of a private network, allowed", "service.yaml", "block_local_jwks: true", "block_local_jwks: false",
			settings{"PS_JWKS_URI": "http://10.0.0.7:8080/v1/auth/jwks"},
			[]string{"warning: DIR/service.yaml does not fetch its keys from https"},
		},
		{
			"no sync configuration", "service.yaml", "path: sync-config.yaml", "path: other.yaml",
			settings{"PS_JWKS_URI": jwks},
			[]string{"error: DIR/service.yaml names a sync configuration that cannot be read"},
		},
		{
			"a table that is not sent", "sync-config.yaml", "user_books:", "user_shelves:",
			settings{"PS_JWKS_URI": jwks},
			[]string{"error: DIR/sync-config.yaml has no stream user_books"},
		},
		{"no YAML", "service.yaml", "client_auth:", "client_auth: [", settings{"PS_JWKS_URI": jwks}, []string{"error: DIR/service.yaml is not YAML as the service reads it"}},
		{"an address of papyrus that is wrong", "service.yaml", "", "", settings{"PUBLIC_BASE_URL": "::wrong", "PS_JWKS_URI": jwks}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"service.yaml", "sync-config.yaml"} {
				text, err := os.ReadFile("../../config/powersync/" + name)
				if err != nil {
					t.Fatal(err)
				}
				changed := string(text)
				if name == tt.file {
					changed = strings.Replace(changed, tt.old, tt.new, 1)
				}
				write(t, filepath.Join(dir, name), changed, 0o600)
			}
			in := load(t, config.Papyrus, powerSync(over(settings{"PUBLIC_BASE_URL": "https://203.0.113.5"}, tt.env)))
			in.PowerSyncService = filepath.Join(dir, "service.yaml")
			var want []string
			for _, line := range tt.want {
				want = append(want, strings.Replace(line, "DIR", dir, 1))
			}
			wantFindings(t, doctor.AtRest(t.Context(), in), want)
		})
	}
}
