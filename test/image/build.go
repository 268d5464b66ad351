package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Tag is the name under which [Store.Build] puts the image into a store.
const Tag = "localhost/provisioner:test"

// Version is what the built image says of itself.
const Version = "1.2.3-test"

// stand-ins: a Go image that is a shell beside this machine's Go, and a base that has what distroless/static has.
const (
	goImage = `FROM scratch
COPY go/ /
ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=%s GOSUMDB=%s
`
	baseImage = `FROM scratch
COPY base/ /
USER 65532:65532
`
	passwords = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
)

// Build builds the image from the Dockerfile of a tree, as Tag. What the environment has in addition is seen by the builder alone.
func (s *Store) Build(tree string, environment ...string) {
	s.t.Helper()
	s.standIns(tree)
	build := s.command("buildah", "bud", "--quiet", "--pull-never", "--isolation", "chroot", "--network", "host",
		"--format", "docker", "--timestamp", "0", "--volume", goEnv(s.t, "GOROOT")+":/usr/local/go:ro",
		"--build-arg", "VERSION="+Version, "--build-arg", "REVISION=0123abc", "--tag", Tag, tree)
	build.Env = append(build.Env, environment...)
	s.output(build)
}

var baseArg = regexp.MustCompile(`(?m)^ARG (GO_IMAGE|BASE_IMAGE)=(\S+)$`)

// standIns makes the images that the Dockerfile is built upon, under the names that it has for them, and has the build use this
// machine's caches of Go: buildah keeps its cache mounts there.
func (s *Store) standIns(tree string) {
	s.t.Helper()
	dockerfile, err := os.ReadFile(filepath.Join(tree, "Dockerfile"))
	if err != nil {
		s.t.Fatal(err)
	}
	names := baseArg.FindAllStringSubmatch(string(dockerfile), -1)
	if len(names) != 2 {
		s.t.Fatalf("the Dockerfile has the base images %v, want two", names)
	}
	s.layOut()
	for _, name := range names {
		text := baseImage
		if name[1] == "GO_IMAGE" {
			text = fmt.Sprintf(goImage, goEnv(s.t, "GOPROXY"), goEnv(s.t, "GOSUMDB"))
		}
		s.write(name[1]+".Dockerfile", text)
		s.output(s.command("buildah", "bud", "--quiet", "--isolation", "chroot", "--timestamp", "0", "--file",
			filepath.Join(s.dir, name[1]+".Dockerfile"), "--tag", name[2], s.dir))
	}
}

// layOut puts the files of the stand-ins where their Dockerfiles look for them.
func (s *Store) layOut() {
	s.t.Helper()
	s.write(".dockerignore", "*\n!go\n!base\n")
	s.write("go/tmp/.keep", "")
	s.copyFile("/bin/busybox", "go/bin/busybox")
	for _, applet := range []string{"sh", "mkdir", "cp", "chmod"} {
		s.link("busybox", "go/bin/"+applet)
	}
	s.write("go/etc/passwd", passwords)
	s.write("base/etc/passwd", passwords)
	s.write("base/tmp/.keep", "")
	s.copyFile("/etc/ssl/certs/ca-certificates.crt", "base/etc/ssl/certs/ca-certificates.crt")
	s.copyFile("/etc/ssl/certs/ca-certificates.crt", "go/etc/ssl/certs/ca-certificates.crt")

	s.link(goEnv(s.t, "GOMODCACHE"), "tmp/buildah-cache/go/pkg/mod")
	s.link(goEnv(s.t, "GOCACHE"), "tmp/buildah-cache/root/.cache/go-build")
}

// goEnv returns what Go on this machine says of itself.
func goEnv(t testing.TB, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
