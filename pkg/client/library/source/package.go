package source

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/provisioner/provisioner/pkg/client/library"
)

// entry is an element of the metadata, with what refines it.
type entry struct {
	id, text string
	role     string // of a creator: "aut"; "" where none is given
	scheme   string // of an identifier: "ISBN"
	kind     string // of a title: "main", "subtitle"
	place    int    // among its like
}

// packageDocument is what is wanted of one: the elements of Dublin Core by their local names.
type packageDocument struct {
	entries map[string][]entry
	refined []refinement
}

// refinement is a meta element of EPUB 3, of the entry with an id.
type refinement struct{ id, property, text string }

// maxEntries is how many elements of metadata are looked at.
const maxEntries = 10_000

// read reads to the end of the metadata, which comes first; what follows may be of any size.
func (p *packageDocument) read(d *document) error {
	p.entries = map[string][]entry{}
	inside, count := false, 0
	return elements(d, func(e xml.StartElement) (bool, error) {
		switch count++; {
		case e.Name.Local == "metadata":
			inside = true
			return true, nil
		case e.Name.Local == "manifest" || e.Name.Local == "spine":
			return false, nil
		case !inside || e.Name.Local == "dc-metadata": // around the entries in OEBPS 1
			return true, nil
		case count > maxEntries:
			return false, errTooLarge
		}
		return true, p.take(d, e)
	})
}

// take reads one element of the metadata.
func (p *packageDocument) take(d *document, e xml.StartElement) error {
	text, err := textOf(d)
	if err != nil {
		return err
	}
	if e.Name.Local == "meta" {
		if id, ok := strings.CutPrefix(attribute(e, "refines"), "#"); ok {
			p.refined = append(p.refined, refinement{id, attribute(e, "property"), strings.TrimSpace(text)})
		}
		return nil
	}
	name := strings.ToLower(e.Name.Local)
	p.entries[name] = append(p.entries[name], entry{
		id: attribute(e, "id"), text: text, role: attribute(e, "role"), scheme: attribute(e, "scheme"), place: math.MaxInt,
	})
	return nil
}

// textOf returns all text up to the end of the element that has begun.
func textOf(d *document) (string, error) {
	var b strings.Builder
	for outside := d.depth - 1; d.depth > outside; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return "", io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		if text, ok := token.(xml.CharData); ok {
			b.Write(text)
		}
	}
	return b.String(), nil
}

// describe sets the book of f.
func (p *packageDocument) describe(f *Find) error {
	p.refine()
	b := &f.Book
	b.Title, b.Subtitle = p.titles()
	if b.Title == "" {
		return errNoTitle
	}
	if authors := p.authors(); len(authors) > 0 {
		b.Author, b.CoAuthors = authors[0], append([]string(nil), authors[1:]...)
	}
	b.Publisher = line(p.first("publisher"))
	b.Language = line(p.first("language"))
	b.Description = plain(p.first("description"))
	for _, e := range p.entries["identifier"] {
		if text, ok := numberIn(e); ok {
			f.identify(text)
		}
	}
	return nil
}

// refine gives the entries what the refinements say of them.
func (p *packageDocument) refine() {
	byID := map[string]*entry{}
	for _, list := range p.entries {
		for i := range list {
			if list[i].id != "" {
				byID[list[i].id] = &list[i]
			}
		}
	}
	for _, r := range p.refined {
		e := byID[r.id]
		if e == nil {
			continue
		}
		switch r.property {
		case "role":
			e.role = cmp.Or(e.role, r.text)
		case "title-type":
			e.kind = r.text
		case "identifier-type":
			e.scheme = cmp.Or(e.scheme, schemeOfCode(r.text))
		case "display-seq":
			if n, err := strconv.Atoi(r.text); err == nil {
				e.place = n
			}
		}
	}
}

// schemeOfCode returns the scheme of a type of identifier: in ONIX's code list 5, 02 and 15 are ISBNs of either length.
func schemeOfCode(code string) string {
	if code == "02" || code == "15" {
		return "ISBN"
	}
	return code
}

func (p *packageDocument) first(name string) string {
	for _, e := range p.entries[name] {
		if strings.TrimSpace(e.text) != "" {
			return e.text
		}
	}
	return ""
}

// titles returns the title, that which is marked as the main one or else the first, and the one that is marked as its subtitle.
func (p *packageDocument) titles() (title, subtitle string) {
	main := ""
	for _, e := range p.entries["title"] {
		text := line(e.text)
		switch e.kind {
		case "subtitle":
			subtitle = cmp.Or(subtitle, text)
		case "main":
			main = cmp.Or(main, text)
		case "":
			title = cmp.Or(title, text)
		}
	}
	return cmp.Or(main, title, line(p.first("title"))), subtitle
}

// authors returns the creators who wrote the book, in the order in which they are to be shown; all of them where none is said to have.
func (p *packageDocument) authors() []string {
	creators := slices.Clone(p.entries["creator"])
	slices.SortStableFunc(creators, func(a, b entry) int { return cmp.Compare(a.place, b.place) })
	var all, authors []string
	for _, e := range creators {
		name := line(e.text)
		if name == "" || slices.Contains(all, name) {
			continue
		}
		all = append(all, name)
		if e.role == "aut" || e.role == "" {
			authors = append(authors, name)
		}
	}
	if len(authors) == 0 {
		return all
	}
	return authors
}

// numberIn returns what an identifier says is an ISBN: by its scheme, its prefix, or as thirteen digits of a book's.
func numberIn(e entry) (text string, ok bool) {
	text = line(e.text)
	for _, prefix := range []string{"urn:isbn:", "isbn:", "isbn "} {
		if len(text) > len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
			return text[len(prefix):], true
		}
	}
	if strings.HasPrefix(strings.ToUpper(e.scheme), "ISBN") {
		return text, true
	}
	number, ok := library.ParseISBN(text)
	return text, ok && len(number) == 13
}
