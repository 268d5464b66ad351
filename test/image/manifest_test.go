package image_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/image"
	"github.com/provisioner/provisioner/test/kubernetes"
	"github.com/provisioner/provisioner/test/postgres"
)

// checkManifest runs the receiver of the self-contained installation as its Deployment says, with the ConfigMap and the Secret that
// belong to it, on a real Postgres that the Job's command has migrated. Podman stands in for the cluster: it honours the security
// context, the settings and the volumes; what of the manifest concerns a cluster alone it does not read.
func checkManifest(t *testing.T, store *image.Store) {
	t.Helper()
	database := postgres.NewDatabase(t)
	objects := receiverOf(t, kubernetes.Render(t, "self-contained"))
	receiver, admin := onLoopback(t, objects, database)

	job := objects["Job"].at("spec", "template", "spec", "containers").list()[0].(fields)
	migrate := []string{"run", "--rm", "--pull", "never", "--network", "host", "--read-only", "--env", "DATABASE_URL=" + database, image.Tag}
	for _, arg := range job["args"].([]any) {
		migrate = append(migrate, arg.(string))
	}
	if out := store.Output(migrate...); out != "the schema is up to date" {
		t.Errorf("the Job says %q", out)
	}

	store.Output("play", "kube", write(t, objects))
	const name = "receiver-pod-0-provisioner"
	await(t, store, name, "http://"+admin+"/readyz")
	checkUser(t, store, name)
	if status, err := ask("http://" + receiver + "/health"); status != http.StatusOK {
		t.Errorf("/health: %d %v", status, err)
	}
	resp, err := http.Post("http://"+receiver+"/inbox", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("an unsigned request: %d", resp.StatusCode)
	}
	store.Output("stop", "--time", "20", name)
	if code := store.Output("inspect", "--format", "{{.State.ExitCode}}", name); code != "0" {
		t.Errorf("the exit code after SIGTERM is %s", code)
	}
}

// fields are those of a manifest.
type fields map[string]any

type value struct{ any }

func (v value) fields() fields { return v.any.(fields) }
func (v value) list() []any    { return v.any.([]any) }

// at returns what is at a path of names.
func (f fields) at(path ...string) value {
	var v any = f
	for _, name := range path {
		v = v.(fields)[name]
	}
	return value{v}
}

// receiverOf returns the objects that make the receiver's pods, and the Job, by their kinds.
func receiverOf(t *testing.T, manifests []byte) map[string]fields {
	t.Helper()
	objects := map[string]fields{}
	for d := yaml.NewDecoder(bytes.NewReader(manifests)); ; {
		var o fields
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, name := o["kind"].(string), o.at("metadata", "name").any.(string)
		concerns := slices.Contains([]string{"Deployment", "ConfigMap", "Secret"}, kind) && strings.HasPrefix(name, "receiver")
		if concerns || kind == "Job" {
			objects[kind] = o
		}
	}
}

// onLoopback changes the manifests in what a cluster would have: its network, for which the pod listens on free ports of loopback;
// its names, for which the database is one of this machine's; its Secret, which is a directory; its registry. It returns the addresses.
func onLoopback(t *testing.T, objects map[string]fields, database string) (receiver, admin string) {
	t.Helper()
	pod := objects["Deployment"].at("spec", "template", "spec").fields()
	pod["hostNetwork"] = true
	pod["volumes"] = []any{fields{"name": "secrets", "hostPath": fields{"path": mounted(t, objects["Secret"], database), "type": "Directory"}}}

	c := pod.at("containers").list()[0].(fields)
	c["image"] = image.Tag
	delete(c, "ports")                                                   // of a network that there is not
	for _, probe := range []string{"liveness", "readiness", "startup"} { // podman would need curl in the image; the test asks itself
		delete(c, probe+"Probe")
	}
	c["env"] = slices.DeleteFunc(c.at("env").list(), func(e any) bool { return e.(fields)["valueFrom"] != nil }) // of the cluster
	addrs := map[string]string{"RECEIVER_ADDR": "", "ADMIN_ADDR": ""}
	for _, e := range c.at("env").list() {
		env := e.(fields)
		if _, ok := addrs[env["name"].(string)]; ok {
			port, err := daemon.Port()
			if err != nil {
				t.Fatal(err)
			}
			env["value"] = "127.0.0.1:" + strconv.Itoa(port)
			addrs[env["name"].(string)] = "127.0.0.1:" + strconv.Itoa(port)
		}
	}
	return addrs["RECEIVER_ADDR"], addrs["ADMIN_ADDR"]
}

// mounted writes a Secret's files as the kubelet does: podman 4.3 would leave them in base64.
func mounted(t *testing.T, secret fields, database string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, encoded := range secret.at("data").fields() {
		text, err := base64.StdEncoding.DecodeString(encoded.(string))
		if name == "DATABASE_URL" {
			text = []byte(database)
		}
		file := filepath.Join(dir, name)
		if err := errors.Join(err, os.WriteFile(file, text, 0o440), os.Chown(file, 0, 65532)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// write writes what podman is to play into a file.
func write(t *testing.T, objects map[string]fields) string {
	t.Helper()
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	for _, kind := range []string{"ConfigMap", "Deployment"} {
		if err := e.Encode(objects[kind]); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "receiver.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
