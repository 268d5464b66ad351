package terminal

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	server := program.Start(t, "papyrus", nil)
	path, err := program.Path()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &person{t, dir, program.Settings{
		"PAPYRUS_API_BASE_URL": server.URL("papyrus"), "PROVISIONER_KEYRING": "off",
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
	x.Run("provisioner library watch")
	x.awaitRecorded("watch")

	p.run("phone", "", "library", "edit", emma, "--status", "inProgress", "--page", "7")
	p.run("phone", "", "library", "edit", persuasion, "--rating", "5", "--favorite")
	p.run("phone", "", "library", "sync")
	x.awaitRecorded("watch, changed")

	p.run("laptop", "", "library", "add", "\x1b[31mA title of \u009b2J 長い長い長い長い長い長い長い長い")
	x.Resize(40, 6)
	x.Await("a table that fits a small window", func(screen string) bool {
		lines := strings.Split(screen, "\n")
		return len(lines) == 6 && strings.HasPrefix(lines[3], p.shortID("A title")) && strings.HasSuffix(lines[3], "…") &&
			lines[5] == "3 more, which do not fit · q quits"
	})
	x.Press("q")
	x.Await("what was there before", func(screen string) bool { return screen == "$ provisioner library watch\n$" })
	x.Resize(80, 12)
	x.Run("clear; provisioner library sync")
	x.Await("what is left of the progress", func(screen string) bool { return screen == "synced: 4 books\n$" })
	x.Run("clear; provisioner library remove " + emma)
	question := "Remove “Emma” by Jane Austen? [y/N]"
	x.Await("a question", func(screen string) bool { return screen == question })
	x.Press("Enter")
	x.Await("the end without a removal", func(screen string) bool { return screen == question+"\nprovisioner: nothing was done\n$" })

	x.Run("provisioner library watch")
	x.Await("the table again", func(screen string) bool { return strings.Contains(screen, "4 books · in sync") })
	p.run("laptop", "", "logout", "--force")
	x.Await("the end of the watch", func(screen string) bool { return strings.Contains(screen, "not signed in") })
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
