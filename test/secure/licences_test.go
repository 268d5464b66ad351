package secure_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

var update = flag.Bool("update", false, "write docs/THIRD_PARTY_LICENSES")

// allowed are the licences that go with ours: they ask for their text to come along, or for the source of changed files (MPL).
var allowed = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "MPL-2.0"}

// certain is how much of a file, in percent, must be the text of known licences.
const certain = 70

// TestLicences reads the licence of every module that is linked into the program, holds it to those allowed, and the collection of their
// texts to what is linked: MIT and BSD want them to come with each copy.
func TestLicences(t *testing.T) {
	const file = "../../docs/THIRD_PARTY_LICENSES"
	var b strings.Builder
	b.WriteString("The programs that are linked into provisioner, and their licences. Written by go test ./test/secure -update.\n")
	for _, module := range modules(t) {
		path, dir, _ := strings.Cut(module, " ")
		judged := false
		for _, name := range licenceFiles(t, dir) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if own(name) {
				judge(t, path, text)
				judged = true
			}
			fmt.Fprintf(&b, "\n%s\n%s (%s)\n%s\n\n%s\n", rule, path, filepath.Base(name), rule, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
		}
		if !judged {
			t.Errorf("%s has no licence of its own", path)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(file); err != nil || string(committed) != b.String() {
		t.Errorf("docs/THIRD_PARTY_LICENSES is out of date (run go test ./test/secure -run Licences -update) %v", err)
	}
}

var rule = strings.Repeat("=", 80)

// modules returns the paths and directories of the modules that the program is built of, but itself, sorted; last Go's own.
func modules(t *testing.T) []string {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", ".")
	list.Dir, list.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux") // as the image has it
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Compact(slices.Sorted(strings.Lines(string(out))))
	var found []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	if len(found) < 20 {
		t.Fatalf("%d modules", len(found))
	}
	return append(found, "std "+goroot(t))
}

// goroot returns the directory of Go, whose library is linked into every program.
func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// licenceFiles returns the licence, and the notice where there is one, at the root of a module.
func licenceFiles(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
				found = append(found, name)
			}
		}
	}
	if len(found) == 0 {
		t.Errorf("%s has no licence", dir)
	}
	return found
}

// own reports whether a file is the module's licence, rather than that of something which it took in: those come along unjudged.
func own(name string) bool {
	base := filepath.Base(name)
	return slices.Contains([]string{"LICENSE", "LICENCE", "COPYING"}, strings.TrimSuffix(base, filepath.Ext(base)))
}

func judge(t *testing.T, module string, text []byte) {
	t.Helper()
	cover := licensecheck.Scan(text)
	for _, m := range cover.Match {
		if !slices.Contains(allowed, m.ID) {
			t.Errorf("%s is under %s, which nobody has allowed", module, m.ID)
		}
	}
	if len(cover.Match) == 0 || cover.Percent < certain {
		t.Errorf("%s: %.0f%% of its licence is known", module, cover.Percent)
	}
}
