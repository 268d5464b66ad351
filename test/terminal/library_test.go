package terminal

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/test/program"
)

const page = "../../docs/library.md"

// person is somebody with an account and several devices, each a directory of the client.
type person struct {
	t        *testing.T
	dir      string // where commands run
	settings program.Settings
}

func newPerson(t *testing.T) *person {
	t.Helper()
	return newPersonOf(t, program.Start(t, "papyrus", nil).URL("papyrus"))
}

func newPersonOf(t *testing.T, server string) *person {
	t.Helper()
	path, err := program.Path()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &person{t, dir, program.Settings{
		"PAPYRUS_API_BASE_URL": server, "PROVISIONER_KEYRING": "off",
		"PATH": filepath.Dir(path) + ":" + os.Getenv("PATH"), "HOME": dir,
	}}
}

// at returns the environment of a device.
func (p *person) at(device string) program.Settings {
	return p.settings.With(program.Settings{"PROVISIONER_HOME": filepath.Join(p.dir, device)})
}

// run runs a command on a device, and returns what it prints.
func (p *person) run(device, input string, args ...string) string {
	p.t.Helper()
	cmd := program.Command(p.t, p.dir, p.at(device), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestWatchAsRecorded shows on a terminal what docs/library.md shows, as another device changes books.
func TestWatchAsRecorded(t *testing.T) {
	p := newPerson(t)
	p.run("laptop", "a long password", "register", "ida@example.com")
	p.run("phone", "a long password", "login", "ida@example.com")
	emma := p.add("Emma", "Jane Austen")
	p.add("Middlemarch", "George Eliot")
	persuasion := p.add("Persuasion", "Jane Austen")
	p.run("phone", "", "library", "sync")

	x := Open(t, p.dir, p.at("laptop").Environ(), 80, 8)
	x.keepModes()
	x.Run("provisioner library watch")
	x.awaitRecorded("watch")

	p.run("phone", "", "library", "edit", emma, "--status", "inProgress", "--page", "7")
	p.run("phone", "", "library", "edit", persuasion, "--rating", "5", "--favorite")
	p.run("phone", "", "library", "sync")
	x.awaitRecorded("watch, changed")

	tooDeep := `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}" // for what servers keep
	p.run("laptop", "", "library", "add", "\x1b[31mA title of \u009b2J 長い長い長い長い長い長い長い長い", "--metadata", tooDeep)
	x.Resize(40, 6)
	x.Await("a table that fits a small window", func(screen string) bool {
		lines := strings.Split(screen, "\n")
		return len(lines) == 6 && strings.HasPrefix(lines[3], p.shortID("A title")) && strings.HasSuffix(lines[3], "…") &&
			lines[5] == "1 to 1 of 4 · ↑ ↓ scroll · q quits"
	})
	p.run("laptop", "", "library", "sync") // until the watch has uploaded it
	x.Resize(200, 12)
	x.Press("q")
	const leftOut = `the server left out a field: (“.31mA title of 2J .*”|book [0-9a-f-]{36}): custom_metadata must be JSON of at most 262144 bytes, nested at most 100 deep\n`
	x.awaitMatch(`^\s*\$ provisioner library watch\n` + leftOut + `\$$`)
	p.run("laptop", "", "library", "edit", emma, "--metadata", tooDeep)
	x.Run("clear; provisioner library sync")
	x.awaitMatch(`^` + leftOut + `synced: 4 books\n\$$`)
	x.Run("clear; provisioner library remove " + emma)
	question := "Remove “Emma” by Jane Austen? [y/N]"
	x.Await("a question", func(screen string) bool { return screen == question })
	x.Press("Enter")
	x.Await("the end without a removal", func(screen string) bool { return screen == question+"\nprovisioner: nothing was done\n$" })

	x.Run("provisioner library watch")
	x.Await("the table again", func(screen string) bool { return strings.Contains(screen, "4 books · in sync") })
	p.run("laptop", "", "logout", "--force")
	x.Await("the end of the watch", func(screen string) bool {
		return strings.Contains(screen, "not signed in") && strings.HasSuffix(screen, "\n$") // and the shell reads what is typed
	})
	x.expectRestored()
}

// TestWatchScrolls moves through more books than fit, and leaves the terminal as it was in every way out.
func TestWatchScrolls(t *testing.T) {
	p := newPersonOf(t, "http://127.0.0.1:9") // nothing is asked
	p.run("laptop", "", "offline", "on")
	table := "title\n"
	for i := range 50 {
		table += fmt.Sprintf("Book %02d\n", i)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "books.csv"), []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run("laptop", "", "library", "import", "books.csv")

	x := Open(t, p.dir, p.at("laptop").Environ(), 80, 15)
	x.keepModes()
	watch := func() {
		x.Run("clear; sh -c 'echo $$ > pid; exec provisioner library watch'")
		x.awaitBooks(0, 9)
	}
	watch()
	for _, step := range []struct {
		key         string
		first, last int
	}{
		{"Down", 1, 10},
		{"j", 2, 11},
		{"NPage", 12, 21},
		{"Space", 22, 31},
		{"k", 21, 30},
		{"Up", 20, 29},
		{"PPage", 10, 19},
		{"b", 0, 9},
		{"End", 40, 49},
		{"Home", 0, 9},
		{"G", 40, 49},
	} {
		x.Press(step.key)
		x.awaitBooks(step.first, step.last)
	}
	x.Resize(80, 25)
	x.awaitBooks(30, 49)
	x.Resize(80, 15)
	x.awaitBooks(30, 39)
	p.run("laptop", "", "library", "add", "A book before the others")
	x.Await("another book, and the same on the screen", func(screen string) bool {
		return strings.Contains(screen, "51 books") && strings.Contains(screen, "Book 30") && strings.Contains(screen, "32 to 41 of 51")
	})
	p.run("laptop", "", "library", "remove", p.shortID("A book before"), "--yes")
	for _, leave := range []func(){func() { x.Press("q") }, func() { x.Press("C-c") }, func() { terminate(t, filepath.Join(p.dir, "pid")) }} {
		leave()
		x.awaitPrompt()
		x.expectRestored()
		watch()
	}
}

// awaitMatch waits until all that the window shows matches an expression.
func (x *Terminal) awaitMatch(expression string) {
	x.t.Helper()
	x.Await(expression, regexp.MustCompile(expression).MatchString)
}

// awaitBooks waits until the window shows the books of these numbers, and no others.
func (x *Terminal) awaitBooks(first, last int) {
	x.t.Helper()
	var want []string
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprintf("Book %02d", i))
	}
	x.Await(fmt.Sprint("books ", first, " to ", last), func(screen string) bool {
		return slices.Equal(regexp.MustCompile(`Book \d\d`).FindAllString(screen, -1), want)
	})
}

// keepModes has the shell write the terminal's modes to a file.
func (x *Terminal) keepModes() {
	x.t.Helper()
	x.Run("stty -g > modes; clear")
	x.awaitPrompt()
}

// awaitPrompt waits until the window shows a prompt alone.
func (x *Terminal) awaitPrompt() {
	x.t.Helper()
	x.Await("a prompt", func(screen string) bool { return screen == "$" })
}

// expectRestored fails unless the terminal is as keepModes found it, on the screen that it was on.
func (x *Terminal) expectRestored() {
	x.t.Helper()
	x.Run("clear; stty -g | cmp - modes && echo restored")
	x.Await("a terminal as it was", func(screen string) bool { return screen == "restored\n$" })
	if flags := strings.TrimSpace(x.must("display-message", "-p", "#{cursor_flag}#{alternate_on}")); flags != "10" {
		x.t.Errorf("cursor and second screen are %s, want 10", flags)
	}
}

// terminate sends SIGTERM to the process whose id is in a file.
func terminate(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(syscall.SIGTERM)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// add adds a book on the phone, and returns its id.
func (p *person) add(title, author string) string {
	p.t.Helper()
	return strings.Fields(p.run("phone", "", "library", "add", title, "--author", author))[1]
}

// shortID returns what a table shows of the id of the first book with a text on the laptop.
func (p *person) shortID(text string) string {
	p.t.Helper()
	lines := strings.Split(p.run("laptop", "", "library", "list", text), "\n")
	return strings.Fields(lines[1])[0]
}

// large is how much a file of the import has before its book, in holes: enough to be looked at, and to be interrupted.
const large = 1 << 29

// TestImportAsRecorded interrupts an import, and has it go on.
func TestImportAsRecorded(t *testing.T) {
	p := newPerson(t)
	p.run("laptop", "a long password", "register", "ida@example.com")
	p.newEPUB("books/emma.epub", 0)
	p.newEPUB("books/middlemarch.epub", 0)
	p.newEPUB("books/persuasion.epub", large)

	x := Open(t, p.dir, p.at("laptop").Environ(), 80, 12)
	x.Run("provisioner library import books")
	x.awaitRecorded("importing")
	x.Press("C-c")
	x.Await("the end of the import", func(screen string) bool { return strings.HasSuffix(screen, "\n$") })
	x.Run("provisioner library import books")
	x.awaitRecorded("imported")
}

// newEPUB makes a file whose book, called like it, comes after a hole of some bytes.
func (p *person) newEPUB(name string, hole int64) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := file.Truncate(hole); err != nil {
		p.t.Fatal(err)
	}
	if _, err := file.Seek(hole, io.SeekStart); err != nil {
		p.t.Fatal(err)
	}
	w := zip.NewWriter(file)
	w.SetOffset(hole)
	for _, entry := range [][2]string{
		{"META-INF/container.xml", `<container><rootfile full-path="p" media-type="application/oebps-package+xml"/></container>`},
		{"p", fmt.Sprintf("<package><metadata><title>%s</title></metadata></package>", name)},
	} {
		f, err := w.Create(entry[0])
		if err == nil {
			_, err = io.WriteString(f, entry[1])
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// shortID is the beginning of an id at the beginning of a line of a table.
var shortID = regexp.MustCompile(`(?m)^[0-9a-f]{4,36} `)

// awaitRecorded waits until the window shows what the page has under a title. Ids are not looked at.
func (x *Terminal) awaitRecorded(title string) {
	x.t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		x.t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```text title=\""+title+"\"\n")
	if !ok {
		x.t.Fatalf("%s has no recording %q", page, title)
	}
	want, _, _ := strings.Cut(rest, "\n```\n")
	var got string
	defer func() {
		if want != got {
			x.t.Logf("%s and the screen part (-want +got):\n%s", page, cmp.Diff(want, got))
		}
	}()
	x.Await("the recording "+title, func(screen string) bool {
		got = shortID.ReplaceAllString(screen, "···· ")
		return got == want
	})
}
