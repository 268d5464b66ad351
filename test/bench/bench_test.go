package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/bench/peer"
)

// TestMain is the bare peers too: the benchmark starts itself as them.
func TestMain(m *testing.M) {
	if err := peer.Serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// makeCommand returns the arguments of the benchmark's program in a target of the Makefile, with more of them behind.
func makeCommand(t *testing.T, target, more string) []string {
	t.Helper()
	cmd := exec.Command("make", "--no-print-directory", "-n", target, "BENCH="+more)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make -n %s: %v\n%s", target, err, out)
	}
	arguments, found := strings.CutPrefix(strings.TrimSpace(string(out)), "go run ./test/bench ")
	if !found {
		t.Fatalf("make %s does not run the benchmark:\n%s", target, out)
	}
	return strings.Fields(arguments)
}

// TestMakeBench runs what make bench does, with one short turn a peer: all peers get through without an error, every figure of
// the tables is there, and the page, the plot and the ratios are written.
func TestMakeBench(t *testing.T) {
	dir := t.TempDir()
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "performance.md"), page)
	generous := filepath.Join(dir, "generous.json")
	mustWrite(t, generous, []byte(`{"two-processes":{"cpu":1000,"allocations":1000},"provision":{"cpu":1000,"allocations":1000}}`))
	ratios := filepath.Join(dir, "ratios.json")

	var out bytes.Buffer
	args := makeCommand(t, "bench", fmt.Sprintf("-rounds 1 -duration 1s -docs %s -ratios %s -compare %s", dir, ratios, generous))
	if err := run(args, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	written := mustRead(t, filepath.Join(dir, "performance.md"))
	for _, s := range peer.Suites() {
		for _, what := range s.Peers() {
			if cells := row(written, s.Name, what); len(cells) != 10 || cells[1] == "0" || cells[4] == "0 µs" || cells[5] == "" || cells[8] == "0 MiB" {
				t.Errorf("%s: the row of %s is not full: %q", s.Name, what, cells)
			}
			if !strings.Contains(out.String(), "\n"+what) || !strings.Contains(mustRead(t, filepath.Join(dir, "performance.svg")), ">"+what+"<") {
				t.Errorf("%s is not shown in the terminal's table and in the plot:\n%s", what, &out)
			}
		}
	}
	for _, ours := range []string{"two-processes", "one-process", "provision"} {
		if !strings.Contains(mustRead(t, ratios), `"`+ours+`"`) {
			t.Errorf("no ratios of %s:\n%s", ours, mustRead(t, ratios))
		}
	}
}

func TestMakeBenchCompareMeasuresWhatIsCommitted(t *testing.T) {
	o, err := parse(makeCommand(t, "bench-compare", ""), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	committed := mustRead(t, filepath.Join("../..", o.compare))
	for _, name := range []string{"two-processes", "one-process", "provision"} {
		if !strings.Contains(committed, `"`+name+`"`) || !strings.Contains(","+o.peers+",", ","+name+",") {
			t.Errorf("%s is not compared: %s\n%s", name, o.peers, committed)
		}
	}
}

// TestCommandsOfThePage protects readers of docs/performance.md: what it tells them to type is there.
func TestCommandsOfThePage(t *testing.T) {
	page := mustRead(t, "../../docs/performance.md")
	_, block, _ := strings.Cut(page, "```\n")
	block, _, _ = strings.Cut(block, "```\n")
	targets := 0
	for line := range strings.Lines(block) {
		words := strings.Fields(line)
		cmd := exec.Command(words[0], "-n", words[1])
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s%v\n%s", line, err, out)
		}
		targets++
	}
	if targets != 3 {
		t.Errorf("%d commands on the page", targets)
	}
	var help bytes.Buffer
	if err := run([]string{"-help"}, &help); err != nil || !strings.Contains(help.String(), "-peers") {
		t.Errorf("-help: %v\n%s", err, &help)
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"a peer that there is not", []string{"-peers", "bare,apache"}, `no peer "apache"`},
		{"no rounds", []string{"-rounds", "0"}, "at least one round"},
		{"turns that wrk cannot take", []string{"-duration", "100ms"}, "at least one round, second"},
		{"arguments", []string{"events"}, "no arguments"},
		{"a side that there is not", []string{"serve-bare", "apache"}, `no side "apache"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := run(tt.args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run(%q) = %v, want %q", tt.args, err, tt.want)
			}
		})
	}
}

func TestWhatIsNotInstalledIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := run([]string{"-peers", "bare"}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "not installed: wrk; run `make deps`") {
		t.Error(err)
	}
}

// row returns the cells of a table's row on the page.
func row(page, table, what string) []string {
	_, rest, _ := strings.Cut(page, "<!-- begin: "+table+" -->\n")
	rest, _, _ = strings.Cut(rest, "<!-- end -->")
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "| "+what+" |") {
			cells := strings.Split(strings.Trim(line, "|\n"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			return cells
		}
	}
	return nil
}

func mustWrite(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
