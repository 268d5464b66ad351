package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/image"
)

const (
	root   = "../.."
	canary = "canary-that-must-be-in-no-layer-7f3a"

	mostBytes = 60 << 20 // of the whole image, of which the binary is nearly all
)

// TestImage builds the image twice, from copies of the tree with secrets lying about, and looks at it as an auditor does and then
// as an operator does.
func TestImage(t *testing.T) {
	store, again := image.NewStore(t), image.NewStore(t)
	environment := []string{"SHARED_SECRET=" + canary, "SEAL_KEY=" + canary, "GITHUB_TOKEN=" + canary}
	store.Build(treeWithSecrets(t), environment...)
	again.Build(treeWithSecrets(t), environment...)
	saved := save(t, store)

	t.Run("two builds are the same", func(t *testing.T) {
		if diff := cmp.Diff(inspect(t, store).RootFS.Layers, inspect(t, again).RootFS.Layers); diff != "" {
			t.Errorf("the layers (-first +second):\n%s", diff)
		}
	})
	t.Run("the binary is what anybody builds", func(t *testing.T) {
		if got, want := sha256.Sum256(saved.files["usr/bin/provisioner"]), sha256.Sum256(buildElsewhere(t)); got != want {
			t.Errorf("the SHA-256 in the image is %x, in another directory %x", got, want)
		}
	})
	t.Run("nothing else is in it", func(t *testing.T) { checkFiles(t, saved) })
	t.Run("no secret is in it", func(t *testing.T) { checkSecrets(t, store.In(t), saved) })
	t.Run("what it says of itself", func(t *testing.T) { checkConfig(t, inspect(t, store)) })
	t.Run("the bill of materials", func(t *testing.T) { checkBill(t, saved.files["usr/share/sbom/provisioner.cdx.json"]) })
	t.Run("serve all", func(t *testing.T) { checkServing(t, store.In(t)) })
	t.Run("a Deployment of config/kubernetes", func(t *testing.T) { checkManifest(t, store.In(t)) })
}

// treeWithSecrets copies the tree, and puts secrets where people leave them.
func treeWithSecrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyTree := exec.Command("sh", "-c", `git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$1"`, "sh", dir)
	copyTree.Dir = root
	if out, err := copyTree.CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
	}
	for _, name := range []string{
		".dev.vars", ".dev.vars.production", ".env", "cmd/.dev.vars", "config/.dev.vars.staging", "data/seal-key", "secrets/SEAL_KEY",
		"wrangler.toml", ".git/config", "id_ed25519",
	} {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err := errors.Join(err, os.WriteFile(path, []byte("KEY="+canary+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// buildElsewhere builds the binary as the Dockerfile does, in this directory and with this user, and returns it.
func buildElsewhere(t *testing.T) []byte {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "provisioner")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X github.com/provisioner/provisioner/cmd.release="+image.Version, "-o", binary, root)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	built, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// inspected is what podman tells of an image.
type inspected struct {
	Size        int64
	User        string
	Labels      map[string]string
	Config      struct{ Entrypoint, Cmd, Env []string }
	Healthcheck struct{ Test []string }
	RootFS      struct{ Layers []string }
}

func inspect(t *testing.T, store *image.Store) inspected {
	t.Helper()
	var all []inspected
	if err := json.Unmarshal([]byte(store.Output("image", "inspect", image.Tag)), &all); err != nil || len(all) != 1 {
		t.Fatal(len(all), err)
	}
	return all[0]
}

func checkConfig(t *testing.T, got inspected) {
	t.Helper()
	t.Logf("%.1f MB", float64(got.Size)/1e6)
	if got.Size > mostBytes {
		t.Errorf("the image has %d bytes, want at most %d", got.Size, mostBytes)
	}
	want := inspected{Size: got.Size, User: "65532:65532", RootFS: got.RootFS}
	want.Config.Entrypoint, want.Config.Cmd = []string{"/usr/bin/provisioner"}, []string{"serve", "all"}
	want.Config.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"SENDER_ADDR=:8787", "RECEIVER_ADDR=:8788", "PAPYRUS_ADDR=:8080", "DATA_DIR=/data",
	}
	want.Healthcheck.Test = []string{"CMD", "/usr/bin/provisioner", "healthcheck"}
	want.Labels = map[string]string{
		"org.opencontainers.image.title": "provisioner", "org.opencontainers.image.version": image.Version,
		"org.opencontainers.image.revision":    "0123abc",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      "https://github.com/provisioner/provisioner",
		"org.opencontainers.image.description": "Accounts, API keys and sync for apps that work offline",
	}
	delete(got.Labels, "io.buildah.version")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the image (-want +got):\n%s", diff)
	}
}

// archive is a saved image.
type archive struct {
	bytes   []byte
	files   map[string][]byte // of all layers, by path without leading slash
	entries map[string]string // their owner and mode
}

// save reads the image as others get it.
func save(t *testing.T, store *image.Store) archive {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	store.Output("image", "save", "--format", "docker-archive", "--output", file, image.Tag)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := archive{text, map[string][]byte{}, map[string]string{}}
	eachFile(t, text, func(h *tar.Header, layer []byte) {
		if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, ".tar") {
			eachFile(t, layer, func(h *tar.Header, text []byte) {
				name := strings.TrimSuffix(h.Name, "/")
				a.files[name], a.entries[name] = text, fmt.Sprintf("%d:%d %04o", h.Uid, h.Gid, h.Mode&0o7777)
			})
		}
	})
	return a
}

func eachFile(t *testing.T, archived []byte, visit func(*tar.Header, []byte)) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archived)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		visit(h, text)
	}
}

// checkFiles wants the files of the base and ours alone, with the licences as they are in the tree: they come with each copy of the program.
// The binary is root's: the process cannot change it.
func checkFiles(t *testing.T, saved archive) {
	t.Helper()
	ours := map[string]string{}
	for name, entry := range saved.entries {
		if strings.HasPrefix(name, "usr") || strings.HasPrefix(name, "data") {
			ours[name] = entry
		} else if first, _, _ := strings.Cut(name, "/"); first != "etc" && first != "tmp" {
			t.Errorf("%s is in the image", name)
		}
	}
	want := map[string]string{
		"usr": "0:0 0755", "usr/bin": "0:0 0755", "usr/bin/provisioner": "0:0 0755",
		"usr/share": "0:0 0755", "usr/share/sbom": "0:0 0755", "usr/share/sbom/provisioner.cdx.json": "0:0 0644",
		"usr/share/doc": "0:0 0755", "usr/share/doc/provisioner": "0:0 0755",
		"usr/share/doc/provisioner/LICENSE": "0:0 0644", "usr/share/doc/provisioner/THIRD_PARTY_LICENSES": "0:0 0644",
		"data": "65532:65532 0700",
	}
	if diff := cmp.Diff(want, ours); diff != "" {
		t.Errorf("the files (-want +got):\n%s", diff)
	}
	for _, path := range []string{"LICENSE", "docs/THIRD_PARTY_LICENSES"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !bytes.Equal(saved.files["usr/share/doc/provisioner/"+filepath.Base(path)], text) {
			t.Errorf("%s in the image is another one (%v)", path, err)
		}
	}
}

// checkSecrets looks for what was in the environment and in the context of the build. The binary is not compressed, nor are layers.
func checkSecrets(t *testing.T, store *image.Store, saved archive) {
	t.Helper()
	if bytes.Contains(saved.bytes, []byte(canary)) {
		t.Error("a secret of the build is in the image")
	}
	history := store.Output("image", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image.Tag)
	t.Logf("the history:\n%s", history)
	if strings.Contains(history, canary) || !strings.Contains(history, "ENTRYPOINT") {
		t.Error("a secret of the build is in the history")
	}
}

// checkBill wants a component for the standard library and each module that is in the binary.
func checkBill(t *testing.T, text []byte) {
	t.Helper()
	var bill struct {
		BOMFormat, SpecVersion string
		Metadata               struct{ Component struct{ Version string } }
		Components             []struct{ PURL string }
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	if bill.BOMFormat != "CycloneDX" || bill.SpecVersion != "1.6" || bill.Metadata.Component.Version != image.Version {
		t.Errorf("the head is %q %q %q", bill.BOMFormat, bill.SpecVersion, bill.Metadata.Component.Version)
	}
	if len(bill.Components) < 50 || !strings.HasPrefix(bill.Components[0].PURL, "pkg:golang/std@1.") {
		t.Errorf("it has %d components, of which the first is %v", len(bill.Components), bill.Components[0])
	}
}

// checkServing runs the image with every right taken from it.
func checkServing(t *testing.T, store *image.Store) {
	t.Helper()
	ports := map[string]string{}
	args := []string{
		"run", "--detach", "--name", "all", "--pull", "never", "--network", "host", "--read-only", "--read-only-tmpfs=false",
		"--cap-drop", "all", "--security-opt", "no-new-privileges", "--env", "DRAIN_DELAY=100ms",
	}
	for _, name := range []string{"SENDER", "RECEIVER", "PAPYRUS", "ADMIN"} {
		port, err := daemon.Port()
		if err != nil {
			t.Fatal(err)
		}
		ports[name] = "http://127.0.0.1:" + strconv.Itoa(port)
		args = append(args, "--env", name+"_ADDR=127.0.0.1:"+strconv.Itoa(port))
	}
	begin := time.Now()
	store.Output(append(args, image.Tag)...)
	await(t, store, "all", ports["ADMIN"]+"/readyz")
	t.Logf("ready %v after podman run", time.Since(begin).Round(time.Millisecond))

	for _, name := range []string{"SENDER", "RECEIVER", "PAPYRUS"} {
		if status, err := ask(ports[name] + "/health"); status != http.StatusOK {
			t.Errorf("/health of the %s: %d %v", name, status, err)
		}
	}
	if out, err := store.Podman("healthcheck", "run", "all").CombinedOutput(); err != nil {
		t.Errorf("the health check: %v\n%s", err, out)
	}
	if out, err := store.Podman("exec", "all", "/bin/sh", "-c", "true").CombinedOutput(); err == nil {
		t.Errorf("there is a shell in the image: %s", out)
	}
	checkUser(t, store, "all")

	store.Output("stop", "--time", "20", "all")
	if code := store.Output("inspect", "--format", "{{.State.ExitCode}}", "all"); code != "0" {
		t.Errorf("the exit code after SIGTERM is %s", code)
	}
	if logs, err := store.Podman("logs", "all").CombinedOutput(); err != nil || !bytes.Contains(logs, []byte(`"msg":"stopped"`)) {
		t.Errorf("it did not drain: %v\n%s", err, logs)
	}
}

// checkUser asks the kernel who the process is and what it may.
func checkUser(t *testing.T, store *image.Store, container string) {
	t.Helper()
	status, err := os.ReadFile("/proc/" + store.Output("inspect", "--format", "{{.State.Pid}}", container) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("its status does not have %q:\n%s", want, status)
		}
	}
}

// await asks url of a container until it answers 200.
func await(t *testing.T, store *image.Store, container, url string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		status, err := ask(url)
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			logs, _ := store.Podman("logs", container).CombinedOutput()
			t.Fatalf("%s: %d %v\n%s", url, status, err, logs)
		}
	}
}

func ask(url string) (int, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}
