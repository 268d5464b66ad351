// Package compose_test holds compose.yaml to the Compose specification, to provisioner's settings, and to what it promises: secrets by
// file, ports on loopback, versions that stay. The images of others are not started.
package compose_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/test/npm"
	"github.com/provisioner/provisioner/test/postgres"
)

const root = "../.."

func TestCompose(t *testing.T) {
	project, err := load(t, newTree(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(t, project) {
		t.Error(fault)
	}
	want := []string{"mail", "postgres", "powersync", "powersync-setup", "provisioner", "redis"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(project.Services))); diff != "" {
		t.Errorf("the services (-want +got):\n%s", diff)
	}
}

// TestFaultsAreFound breaks each promise once.
func TestFaultsAreFound(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"a name that Compose does not know", "restart: unless-stopped", "restarts: unless-stopped", "restarts"},
		{"a service that there is not", "redis: {condition", "radis: {condition", "radis"},
		{"a secret that there is not", "secrets: [redis.conf]", "secrets: [redis.cnf]", "redis.cnf"},
		{"a setting that there is not", "SMTP_HOST:", "SMTP_HOTS:", "SMTP_HOTS is no setting"},
		{"a setting that is refused", `["http://localhost:8081"]`, `["*"]`, "ALLOWED_ORIGINS_JSON"},
		{"a setting that is missing", "REDIS_URL, SEAL_KEY,", "REDIS_URL,", "SEAL_KEY"},
		{"a port for everybody", "127.0.0.1:8787:8787", "8787:8787", "8787 is open to others"},
		{"the receiver's port", "127.0.0.1:8787:8787", "127.0.0.1:8788:8788", "the receiver"},
		{"a version that moves", "redis:7.2-bookworm", "redis:latest", "redis:latest is not pinned"},
		{"no version", "mailpit:v1.27", "mailpit", "mailpit is not pinned"},
		{"a secret in the environment", "SMTP_HOST: mail", "SMTP_PASSWORD: hunter2hunter2", "SMTP_PASSWORD is a secret"},
		{"a file that is not there", "config/compose/setup.sql:", "config/compose/set-up.sql:", "set-up.sql"},
		{"a root file system to write to", "read_only: true", "read_only: false", "read-only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := newTree(t)
			file := filepath.Join(tree, "compose.yaml")
			text, err := os.ReadFile(file)
			bad := strings.Replace(string(text), tt.old, tt.new, 1)
			if err := errors.Join(err, os.WriteFile(file, []byte(bad), 0o600)); err != nil || bad == string(text) {
				t.Fatalf("there is no %q to break: %v", tt.old, err)
			}
			project, err := load(t, tree)
			found := fmt.Sprint(err)
			if err == nil {
				found = strings.Join(faults(t, project), "\n")
			}
			if !strings.Contains(found, tt.want) {
				t.Errorf("found is %q, want %q", found, tt.want)
			}
		})
	}
}

// newTree copies what compose.yaml is about, and runs the page's commands there.
func newTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	page, err := os.ReadFile(filepath.Join(root, "docs/docker.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?ms)^```bash\n(.*?)^```$").FindSubmatch(page)
	if commands == nil {
		t.Fatal("the page has no commands")
	}
	script := `git -C "$1" ls-files -z --cached --others --exclude-standard compose.yaml Dockerfile config/compose config/powersync |
		tar -c --null -C "$1" -T - | tar -x` + "\n" + string(commands[1])
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script, "bash", absolute)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// load reads the project as docker compose does, with nothing of the environment.
func load(t *testing.T, dir string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")}, cli.WithWorkingDirectory(dir), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// faults are what the specification allows and we do not.
func faults(t *testing.T, project *types.Project) []string {
	t.Helper()
	var all []string
	for _, s := range project.Services {
		all = append(all, checkPorts(s)...)
		all = append(all, checkFiles(project, s)...)
		if !pinned.MatchString(s.Image) {
			all = append(all, s.Image+" is not pinned to a version")
		}
		if s.HealthCheck == nil && s.Name != "provisioner" && s.Name != "powersync-setup" { // the one has it in its image, the other ends
			all = append(all, s.Name+" has no health check")
		}
	}
	ours := project.Services["provisioner"]
	if !ours.ReadOnly || !slices.Equal(ours.CapDrop, []string{"ALL"}) || !slices.Contains(ours.SecurityOpt, "no-new-privileges") {
		all = append(all, "provisioner may more than it needs: read-only, no capabilities, no new privileges")
	}
	return append(all, checkSettings(t, project, ours)...)
}

var pinned = regexp.MustCompile(`:v?\d+\.\d+[\w.-]*$`)

// checkPorts wants ports on loopback, and none of the receiver's or of the admin listener.
func checkPorts(s types.ServiceConfig) []string {
	var all []string
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			all = append(all, fmt.Sprintf("%s: %s is open to others", s.Name, p.Published))
		}
		if p.Target == 8788 || p.Target == 9090 {
			all = append(all, fmt.Sprintf("%s: %d is of the receiver or for the admin, and is published", s.Name, p.Target))
		}
	}
	return all
}

// checkFiles wants what is mounted to be there.
func checkFiles(project *types.Project, s types.ServiceConfig) []string {
	var files, all []string
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind {
			files = append(files, v.Source)
		}
	}
	for _, secret := range s.Secrets {
		files = append(files, project.Secrets[secret.Source].File)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			all = append(all, fmt.Sprintf("%s: %s is no file: %v", s.Name, file, err))
		}
	}
	return all
}

// checkSettings has the program read its settings as it would in the container: all known, none secret outside of a file, no warning.
func checkSettings(t *testing.T, project *types.Project, s types.ServiceConfig) []string {
	t.Helper()
	secrets := t.TempDir()
	for _, secret := range s.Secrets {
		text, err := os.ReadFile(project.Secrets[secret.Source].File)
		if err := errors.Join(err, os.WriteFile(filepath.Join(secrets, secret.Source), text, 0o600)); err != nil {
			return []string{err.Error()}
		}
	}
	_, report, err := config.Load(config.Options{Service: config.All, Dir: t.TempDir(), LookupEnv: func(name string) (string, bool) {
		if name == "SECRETS_DIR" {
			return secrets, true
		}
		value := s.Environment[name]
		return text(value), value != nil
	}})
	var all []string
	if err != nil {
		all = append(all, err.Error())
	}
	for _, w := range report.Warnings {
		all = append(all, w.Error())
	}
	for name := range s.Environment {
		i := slices.IndexFunc(report.Values(), func(v config.Value) bool { return v.Name == name })
		switch {
		case i < 0:
			all = append(all, name+" is no setting")
		case report.Values()[i].Value == "configured":
			all = append(all, name+" is a secret: put it into a file")
		}
	}
	return all
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestPowerSyncService holds the service's settings to the schema that PowerSync publishes, and to config/powersync but for TLS and
// private addresses.
func TestPowerSyncService(t *testing.T) {
	const file = "config/compose/service.yaml"
	out, err := npm.Command(t, "powersync", "schema.mjs", filepath.Join("../..", file)).Output()
	if err != nil || strings.TrimSpace(string(out)) != "[]" {
		t.Errorf("schema.mjs: %v: run `make deps` if a library is missing\n%s", err, out)
	}
	got, want := settings(t, file), settings(t, "config/powersync/service.yaml")
	want = strings.NewReplacer("sslmode: verify-full", "sslmode: disable", "block_local_jwks: true", "block_local_jwks: false").Replace(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the settings (-want +got):\n%s", diff)
	}
}

// settings returns a YAML file without comments and empty lines.
func settings(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?m) *#.*$`)
	return regexp.MustCompile(`\n+`).ReplaceAllString("\n"+comment.ReplaceAllString(string(text), ""), "\n")
}

// TestPowerSyncSetup runs setup.sql twice on a database that provisioner has migrated.
func TestPowerSyncSetup(t *testing.T) {
	tree := newTree(t)
	server := postgres.StartServer(t, "wal_level=logical")
	url := server.NewDatabase()
	migrate := exec.Command("go", "run", root, "migrate", "up")
	migrate.Env = append(os.Environ(), "DATABASE_URL="+url)
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	setup := setUp(t, tree)
	for range 2 {
		if out, err := server.Run(url, setup); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	check := filepath.Join(t.TempDir(), "check.sql")
	const roles = `\pset format unaligned
\pset tuples_only on
SELECT rolname, rolreplication, rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname LIKE 'powersync%' ORDER BY 1;
SELECT pubname, tablename FROM pg_publication_tables;
`
	if err := os.WriteFile(check, []byte(roles), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := server.Run(url, check)
	const want = "powersync_replication|t|t\npowersync_storage|f|t\npowersync|books\n"
	if err != nil || !strings.HasSuffix(out, want) {
		t.Errorf("%v: it has made %q, want %q", err, out, want)
	}
}

// setUp puts the files where the container has them together, with the secrets of the tree, for Postgres's user to read.
func setUp(t *testing.T, tree string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "provisioner-setup-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, file := range []string{
		"config/compose/setup.sql", "config/powersync/source.sql", "config/powersync/storage.sql",
		"config/compose/secrets/POWERSYNC_REPLICATION_PASSWORD", "config/compose/secrets/POWERSYNC_STORAGE_PASSWORD",
	} {
		text, err := os.ReadFile(filepath.Join(tree, file))
		here := strings.ReplaceAll(string(text), "/run/secrets", dir)
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(here), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "setup.sql")
}
