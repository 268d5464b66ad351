// Package kubernetes renders what is under config/kubernetes as an operator does, with secrets made by the commands of the page.
package kubernetes

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
)

const (
	root = "../.."

	// kustomize, of the version that kubectl 1.34 has in it.
	kustomize = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
)

// Installations are the directories under config/kubernetes that an operator applies.
var Installations = []string{"with-supabase", "self-contained"}

// Tool prepares a program that is pinned by its version.
func Tool(program string, args ...string) *exec.Cmd {
	return exec.Command("go", append([]string{"run", program}, args...)...)
}

// Render returns the manifests of an installation, with the secrets that the commands of docs/kubernetes.md make.
func Render(t testing.TB, installation string) []byte {
	t.Helper()
	config, err := configured()
	if err != nil {
		t.Fatal(err)
	}
	out, err := Build(filepath.Join(config.Path, "config/kubernetes", installation))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Build has kustomize render a directory.
func Build(dir string) ([]byte, error) {
	cmd := Tool(kustomize, "build", dir)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(errs.String()))
	}
	return out, err
}

// configured is a directory with a copy of config/kubernetes and of the program, in which the page's commands were run.
var configured = sync.OnceValues(func() (*daemon.Dir, error) {
	dir, err := daemon.NewDir("provisioner-kubernetes-")
	if err != nil {
		return nil, err
	}
	if err := CopyConfig(dir.Path); err != nil {
		return nil, err
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir.Path, "provisioner"), root).CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/kubernetes.md"))
	if err != nil {
		return nil, err
	}
	for _, block := range bashBlock.FindAllStringSubmatch(string(page), -1) {
		sh := exec.Command("bash", "-euo", "pipefail", "-c", block[1])
		sh.Dir, sh.Env = dir.Path, append(os.Environ(), "PATH="+dir.Path+":"+os.Getenv("PATH"),
			"SUPABASE_ANON_KEY=anon", "DATABASE_URL=postgres://app:password@192.0.2.10/app?sslmode=verify-full")
		if out, err := sh.CombinedOutput(); err != nil {
			return nil, errors.Join(err, errors.New(string(out)))
		}
	}
	return dir, nil
})

var bashBlock = regexp.MustCompile("(?ms)^```bash\n(.*?)^```$")

// CopyConfig copies config/kubernetes into dir, without secrets that somebody has made there.
func CopyConfig(dir string) error {
	from := filepath.Join(root, "config/kubernetes")
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "secrets" {
			return filepath.SkipDir
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, relative)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(to, text, 0o644))
	})
}
