package source_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/library/source"
)

const container = `<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`

// epub returns an EPUB of a package document.
func epub(t testing.TB, opf string) []byte {
	t.Helper()
	return archive(t, "mimetype", "application/epub+zip", "META-INF/container.xml", container, "OEBPS/content.opf", opf)
}

// archive returns a zip of files, each a name and what it holds.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for file := range slices.Chunk(files, 2) {
		f, err := w.Create(file[0])
		if err == nil {
			_, err = io.WriteString(f, file[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func metadata(inner string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">` + inner + `</metadata><manifest/></package>`
}

// find returns what a directory with the files holds, by their names; digests are looked at by their shape alone.
func find(t testing.TB, files map[string][]byte) map[string]source.Find {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return findIn(t, dir)
}

func findIn(t testing.TB, path string) map[string]source.Find {
	t.Helper()
	s, err := source.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	found := map[string]source.Find{}
	for f := range s.Books(t.Context()) {
		found[f.Name] = f
	}
	if len(found) != s.Size {
		t.Errorf("%d found, and its size is %d", len(found), s.Size)
	}
	return found
}

func TestEPUBMetadata(t *testing.T) {
	tests := map[string]struct {
		opf      string
		want     library.Book
		warnings []string
	}{
		"of version 2, with roles and schemes": {
			metadata(`<dc:title>Emma</dc:title><dc:creator opf:role="aut">Jane Austen</dc:creator><dc:creator opf:role="ill">C. E. Brock</dc:creator>
				<dc:creator opf:role="aut">Somebody Else</dc:creator><dc:publisher>John Murray</dc:publisher><dc:language>en-GB</dc:language>
				<dc:identifier opf:scheme="ISBN">978-0-14-032872-1</dc:identifier><dc:identifier opf:scheme="isbn">0-14-032872-X</dc:identifier>
				<dc:identifier opf:scheme="ISBN">0140328726</dc:identifier><dc:identifier>6310</dc:identifier>
				<dc:description>&lt;p&gt;A &lt;b&gt;novel&lt;/b&gt;.&lt;/p&gt;&lt;p&gt;Of manners&lt;br/&gt;&amp;amp; more.&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</dc:description>`),
			library.Book{
				Title: "Emma", Author: "Jane Austen", CoAuthors: []string{"Somebody Else"}, Publisher: "John Murray", Language: "en-GB",
				ISBN: "0140328726", ISBN13: "9780140328721", Description: "A novel.\n\nOf manners\n& more.",
			},
			[]string{`"014032872X" is no ISBN`},
		},
		"of version 3, with refinements": {
			metadata(`<dc:title id="s">An Epic</dc:title><dc:title id="m">Middlemarch</dc:title><meta refines="#s" property="title-type">subtitle</meta>
				<meta refines="#m" property="title-type">main</meta><dc:creator id="b">Second</dc:creator><dc:creator id="a">First</dc:creator>
				<dc:creator id="c">Translator</dc:creator><meta refines="#c" property="role">trl</meta>
				<meta refines="#a" property="display-seq">1</meta><meta refines="#b" property="display-seq">2</meta>
				<dc:identifier id="i">0140328726</dc:identifier><meta refines="#i" property="identifier-type" scheme="onix:codelist5">02</meta>
				<dc:identifier>urn:isbn:9780140328721</dc:identifier><meta refines="#nobody" property="role">aut</meta>`),
			library.Book{
				Title: "Middlemarch", Subtitle: "An Epic", Author: "First", CoAuthors: []string{"Second"}, ISBN: "0140328726", ISBN13: "9780140328721",
			},
			nil,
		},
		"with a bare ampersand, entities of HTML and a character that is not to be seen": {
			metadata("<dc:title> Sense &amp;\n Sensibility&nbsp;& &#x9b;more </dc:title>"), library.Book{Title: "Sense & Sensibility & more"}, nil,
		},
		"in which nobody is an author": {
			metadata(`<dc:title>Essays</dc:title><dc:creator opf:role="edt">An Editor</dc:creator>`), library.Book{Title: "Essays", Author: "An Editor"}, nil,
		},
		"in the form of OEBPS 1": {
			metadata(`<dc-metadata><dc:Title>Old</dc:Title><dc:Creator role="aut">Somebody</dc:Creator></dc-metadata>`),
			library.Book{Title: "Old", Author: "Somebody"},
			nil,
		},
		"in an encoding of its own": {
			"<?xml version='1.0' encoding='ISO-8859-1'?><package><metadata><title>\xc9mile</title></metadata></package>", library.Book{Title: "Émile"}, nil,
		},
		"in UTF-16": {
			"\xff\xfe" + utf16("<?xml version='1.0' encoding='UTF-16'?><package><metadata><title>Émile</title></metadata></package>"),
			library.Book{Title: "Émile"},
			nil,
		},
		"before a manifest larger than any metadata": {
			strings.Replace(metadata(`<dc:title>Atlas</dc:title>`), "<manifest/>", "<manifest>"+strings.Repeat("<item/>", 5<<20/7)+"</manifest>", 1),
			library.Book{Title: "Atlas"},
			nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := find(t, map[string][]byte{"a.epub": epub(t, tt.opf)})["a.epub"]
			if f.Err != nil {
				t.Fatal(f.Err)
			}
			if diff := cmp.Diff(tt.want, f.Book); diff != "" {
				t.Errorf("the book differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, f.Warnings); diff != "" {
				t.Errorf("the warnings differ (-want +got):\n%s", diff)
			}
			if len(f.Digest) != len("sha256:")+64 {
				t.Errorf("the digest is %q", f.Digest)
			}
		})
	}
}

func utf16(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}

// TestHostileFilesAreReported shows that a bad file says what is wrong, by its name, and the good one beside it is found.
func TestHostileFilesAreReported(t *testing.T) {
	good := epub(t, metadata(`<dc:title>Good</dc:title>`))
	large := strings.Repeat(" ", 5<<20)
	tests := map[string]struct {
		file []byte
		want string
	}{
		"truncated":                          {good[:len(good)/2], "not a valid zip file"},
		"empty":                              {nil, "not a valid zip file"},
		"an archive of something else":       {archive(t, "a.txt", "a"), "no EPUB"},
		"a container that names nothing":     {archive(t, "META-INF/container.xml", "<container/>"), "no EPUB"},
		"a package that is missing":          {archive(t, "META-INF/container.xml", container), `OEBPS/content.opf is missing`},
		"a package out of the archive":       {archive(t, "META-INF/container.xml", strings.Replace(container, "OEBPS/content.opf", "../../../etc/passwd", 1)), "etc/passwd is missing"},
		"a bomb for a container":             {archive(t, "META-INF/container.xml", "<a>"+large[:2<<20]), "larger than any real one"},
		"a title of 5 MB":                    {epub(t, metadata("<dc:title>"+large+"</dc:title>")), "larger than any real one"},
		"a character that XML does not have": {epub(t, metadata("<dc:title>\x1b[2J</dc:title>")), "illegal character"},
		"elements without end":               {epub(t, metadata(strings.Repeat("<dc:title>", 1000))), "nests too deep"},
		"more metadata than any book":        {epub(t, metadata(strings.Repeat("<dc:title>a</dc:title>", 20_000))), "larger than any real one"},
		"entities that grow":                 {epub(t, `<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><package><metadata><title>&b;</title></metadata></package>`), "declares entities"},
		"an entity of a file":                {epub(t, `<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><package><metadata><title>&a;</title></metadata></package>`), "declares entities"},
		"bytes that are not in its encoding": {epub(t, metadata("<dc:title>\xc9mile</dc:title>")), "invalid UTF-8"},
		"an encoding that nobody knows":      {epub(t, "<?xml version='1.0' encoding='klingon'?><package/>"), "klingon"},
		"a fault of 3 MB":                    {epub(t, "</"+strings.Repeat("a", 3<<20)+">"), "unexpected end element"},
		"no title":                           {epub(t, metadata(`<dc:title> </dc:title>`)), "no title"},
		"no end":                             {epub(t, `<package><metadata><title>Emma`), "EOF"},
	}
	files := map[string][]byte{"sub/dir/Good.EPUB": good, "notes.txt": []byte("not looked at")}
	for name, tt := range tests {
		files[name+".epub"] = tt.file
	}
	found := find(t, files)
	if f := found["sub/dir/Good.EPUB"]; f.Err != nil || f.Book.Title != "Good" {
		t.Errorf("the good file: %+v", f)
	}
	if len(found) != len(tests)+1 {
		t.Errorf("%d found of %d", len(found), len(tests)+1)
	}
	for name, tt := range tests {
		if err := found[name+".epub"].Err; err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
			t.Errorf("%s: %.1000v, want %q", name, err, tt.want)
		}
	}
}
