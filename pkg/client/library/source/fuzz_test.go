package source

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const emma = `<package><metadata><title id="a">Emma</title><meta refines="#a" property="title-type">main</meta><creator role="aut">A</creator>
<identifier>urn:isbn:9780140328721</identifier><description>&lt;p&gt;a &amp; b&lt;/p&gt;</description></metadata></package>`

func FuzzEPUB(f *testing.F) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, entry := range [][2]string{
		{"META-INF/container.xml", `<container><rootfile full-path="p" media-type="application/oebps-package+xml"/></container>`}, {"p", emma},
	} {
		file, err := w.CreateHeader(&zip.FileHeader{Name: entry[0], Method: zip.Store}) // which the fuzzer sees through
		if err == nil {
			_, err = io.WriteString(file, entry[1])
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		var found Find
		found.Err = found.readEPUB(bytes.NewReader(file), int64(len(file)))
		checkFind(t, found)
	})
}

// FuzzPackage has the fuzzer at the XML, past the archive.
func FuzzPackage(f *testing.F) {
	f.Add(emma)
	f.Add("<!DOCTYPE a [<!ENTITY a 'b'>]><package><metadata><title>&a;</title></metadata></package>")
	f.Fuzz(func(t *testing.T, opf string) {
		var p packageDocument
		var found Find
		if found.Err = p.read(newDocument(strings.NewReader(opf))); found.Err == nil {
			found.Err = p.describe(&found)
		}
		checkFind(t, found)
	})
}

func FuzzTable(f *testing.F) {
	f.Add("title,author\nEmma,Jane Austen\n")
	f.Add("\xef\xbb\xbfTitle;ISBN;My Rating;Date Added;Additional Authors\nEmma;=\"0140328726\";4;2024/03/09;\"A, B\"\n")
	f.Add("title\n\"a\nb")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "books.csv")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			return
		}
		defer func() { _ = s.Close() }()
		rows := 0
		for found := range s.Books(t.Context()) {
			checkFind(t, found)
			rows++
		}
		if rows != s.Size {
			t.Errorf("%d rows, and the size is %d", rows, s.Size)
		}
	})
}

// checkFind fails if what was found is neither an error nor a book that a server keeps.
func checkFind(t *testing.T, f Find) {
	t.Helper()
	if f.Err != nil {
		return
	}
	b := f.Book
	for _, text := range append([]string{b.Title, b.Subtitle, b.Author, b.Publisher, b.Language, b.ISBN, b.ISBN13}, b.CoAuthors...) {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || len([]rune(text)) > 10_000 || !strings.EqualFold(strings.ToValidUTF8(text, "?"), text) {
			t.Errorf("a text of the book is %q", text)
		}
	}
	if b.Title == "" || len(b.ISBN) != 0 && len(b.ISBN) != 10 || len(b.ISBN13) != 0 && len(b.ISBN13) != 13 || len([]rune(b.Description)) > 1<<20 {
		t.Errorf("the book is %+v", b)
	}
}
