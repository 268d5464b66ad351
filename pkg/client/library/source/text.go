package source

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// What servers keep of a text, in characters (contract: papyrus, section 6).
const (
	longestLine        = 10_000
	longestDescription = 1 << 20
)

// maxQuoted is what a warning shows of a text.
const maxQuoted = 60

// warn adds a warning.
func (f *Find) warn(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = cut(s, maxQuoted)
		}
	}
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

// line returns text on one line, no longer than is kept.
func line(text string) string { return cut(clean(text), longestLine) }

// clean returns text on one line, without what is not to be seen.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// cut returns the first n characters of s.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// markup begins a piece of HTML in a text that may have none.
var markup = regexp.MustCompile(`(?i)</?(p|br|div|span|b|i|em|strong|ul|ol|li|a|h[1-6]|blockquote|script|style)\b[^<]*>`)

// plain returns what a reader of HTML sees of it: text, a blank line between paragraphs. Text without markup keeps its lines.
func plain(text string) string {
	if !markup.MatchString(text) {
		return tidy(html.UnescapeString(text))
	}
	return tidy(seen(strings.Join(strings.Fields(text), " ")))
}

// seen returns the text of HTML with the breaks between its lines.
func seen(text string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	hidden := atom.Atom(0) // the element whose text is not shown
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == 0 {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			hidden = passTag(&b, z.Token(), hidden)
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// passTag writes the break of lines that a tag stands for, and returns the element that hides its text from here on.
func passTag(b *strings.Builder, t html.Token, hidden atom.Atom) atom.Atom {
	switch t.DataAtom {
	case atom.Script, atom.Style:
		if t.Type == html.StartTagToken {
			return t.DataAtom
		}
		return 0
	case atom.Br, atom.Li, atom.Tr:
		b.WriteString("\n")
	case atom.P, atom.Div, atom.Ul, atom.Ol, atom.Blockquote, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		b.WriteString("\n\n")
	default:
	}
	return hidden
}

// tidy returns text of clean lines, with at most one blank one between two.
func tidy(text string) string {
	var b strings.Builder
	blank := false
	for l := range strings.Lines(text) {
		if l = clean(l); l == "" {
			blank = true
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n")
			if blank {
				b.WriteString("\n")
			}
		}
		b.WriteString(l)
		blank = false
	}
	return cut(b.String(), longestDescription)
}
