package source

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// What is read of a file at most, whatever it claims to hold, in bytes. The largest of real books have a tenth of it.
const (
	maxDirectory = 8 << 20 // of the archive's list of files
	maxContainer = 1 << 20
	maxMetadata  = 4 << 20 // of a package document, up to the end of its metadata
)

// maxDepth is how deep elements of a package document nest.
const maxDepth = 64

// errNotEPUB is of an archive of something else.
var errNotEPUB = errors.New("it is no EPUB: it has no META-INF/container.xml that names its package document")

// readEPUB takes a book from the metadata of an EPUB (EPUB 3.3, and OPF 2.0.1 for older ones), an archive of size bytes.
func (f *Find) readEPUB(file io.ReaderAt, size int64) error {
	list := &listing{file: file, left: maxDirectory}
	archive, err := zip.NewReader(list, size)
	if err != nil {
		return err
	}
	list.file, list.left = file, size+maxDirectory // from here on each read has its own bound
	name, err := packageOf(archive)
	if err != nil {
		return err
	}
	var p packageDocument
	if err := readXML(archive, name, maxMetadata, p.read); err != nil {
		return err
	}
	return p.describe(f)
}

// packageOf returns the name of the first package document that the container lists.
func packageOf(archive *zip.Reader) (name string, err error) {
	err = readXML(archive, "META-INF/container.xml", maxContainer, func(d *document) error {
		return elements(d, func(e xml.StartElement) (bool, error) {
			if e.Name.Local == "rootfile" && attribute(e, "media-type") == "application/oebps-package+xml" {
				name = attribute(e, "full-path")
			}
			return name == "", nil
		})
	})
	switch {
	case errors.Is(err, errMissing), err == nil && name == "":
		return "", errNotEPUB
	case err != nil:
		return "", err
	}
	return name, nil
}

// errMissing is of a file that an archive does not have.
var errMissing = errors.New("is missing")

// readXML has work read a file of the archive, no more than limit bytes of it.
func readXML(archive *zip.Reader, name string, limit int64, work func(*document) error) error {
	file := lookUp(archive, strings.TrimPrefix(name, "/"))
	if file == nil {
		return fmt.Errorf("%s %w", quote(name), errMissing)
	}
	r, err := file.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", quote(name), err)
	}
	defer func() { _ = r.Close() }()
	if err := work(newDocument(&limited{r, limit})); err != nil {
		return fmt.Errorf("%s: %w", quote(name), bounded(err))
	}
	return nil
}

// maxFault is how much is said of what is wrong, in characters: some parsers repeat what they do not understand.
const maxFault = 200

// bounded returns an error that is no longer than that.
func bounded(err error) error {
	if text := err.Error(); len(text) > maxFault {
		return errors.New(cut(text, maxFault) + "…")
	}
	return err
}

func lookUp(archive *zip.Reader, name string) *zip.File {
	for _, file := range archive.File {
		if file.Name == name {
			return file
		}
	}
	return nil
}

// quote shows a name that a stranger chose.
func quote(name string) string { return cut(line(name), maxQuoted) }

// document reads the tokens of XML that nests no deeper than maxDepth.
type document struct {
	*xml.Decoder
	depth int
}

// Token returns the next token, refusing what has no place in a book.
func (d *document) Token() (xml.Token, error) {
	token, err := d.Decoder.Token()
	switch t := token.(type) {
	case xml.Directive:
		if strings.Contains(string(t), "<!ENTITY") {
			return nil, errors.New("it declares entities")
		}
	case xml.StartElement:
		d.depth++
	case xml.EndElement:
		d.depth--
	}
	if d.depth > maxDepth {
		return nil, errors.New("it nests too deep")
	}
	return token, err
}

// newDocument reads XML in the encoding that its first bytes or its declaration name. Documents of books have bare ampersands and the
// entities of HTML.
func newDocument(r io.Reader) *document {
	d := xml.NewDecoder(transform.NewReader(r, unicode.BOMOverride(transform.Nop)))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return in, nil // its first bytes have said so
		}
		return charset.NewReaderLabel(label, in)
	}
	return &document{Decoder: d}
}

// elements calls visit for each element that begins, until that returns false.
func elements(d *document, visit func(xml.StartElement) (more bool, err error)) error {
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok {
			if more, err := visit(e); err != nil || !more {
				return err
			}
		}
	}
}

// attribute returns the value of the attribute of a local name.
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// errTooLarge is of what has more bytes than is read.
var errTooLarge = errors.New("it is larger than any real one")

// limited is a reader that fails past a number of bytes.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// listing is a file of which no more than a number of bytes are read.
type listing struct {
	file io.ReaderAt
	left int64
}

func (l *listing) ReadAt(p []byte, off int64) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, fmt.Errorf("the list of its files: %w", errTooLarge)
	}
	return l.file.ReadAt(p, off)
}
