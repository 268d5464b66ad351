package library

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Why JSON cannot be kept.
var (
	errNotJSON = errors.New("not JSON")
	errTooLong = errors.New("too long")
	errTooDeep = errors.New("nested too deep")
)

const (
	maxDepth  = 100 // of JSON that is kept; devices and databases bear more
	maxDigits = 300 // of a number that is kept as it was written; a longer one is rounded to 64 bits
)

// newDecoder reads what any client may send: equal names, of which the last is to count, and broken UTF-8, which becomes U+FFFD.
func newDecoder(r io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// canonical returns a JSON value as Postgres prints jsonb: ", " and ": " between, members by the length of their names and then by
// bytes, of equal names the last. NUL, which Postgres does not take, is removed, and numbers are such that it prints them as they
// are. It returns errNotJSON, errTooDeep, or errTooLong for more than maxLen bytes.
func canonical(raw []byte, maxLen int) ([]byte, error) {
	p := printer{dec: newDecoder(bytes.NewBuffer(raw)), left: maxLen}
	b, err := p.value(nil, 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	if len(b) > maxLen {
		return nil, errTooLong
	}
	return b, nil
}

type printer struct {
	dec  *jsontext.Decoder
	left int // bytes that scalars may still take: numbers are longer than they were
}

func (p *printer) value(b []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch p.dec.PeekKind() {
	case jsontext.KindBeginObject:
		return p.object(b, depth)
	case jsontext.KindBeginArray:
		return p.array(b, depth)
	default:
		return p.scalar(b)
	}
}

func (p *printer) scalar(b []byte) ([]byte, error) {
	raw, err := p.dec.ReadValue()
	if err != nil {
		return nil, errNotJSON
	}
	start := len(b)
	switch raw.Kind() {
	case jsontext.KindString:
		b = appendJSONText(b, unquote(raw))
	case jsontext.KindNumber:
		b, err = appendNumber(b, string(raw))
	default:
		b = append(b, raw...)
	}
	if p.left -= len(b) - start; p.left < 0 {
		return nil, errTooLong
	}
	return b, err
}

func (p *printer) array(b []byte, depth int) (_ []byte, err error) {
	_, _ = p.dec.ReadToken()
	b = append(b, '[')
	for first := true; p.dec.PeekKind() != jsontext.KindEndArray; first = false {
		if !first {
			b = append(b, ", "...)
		}
		if b, err = p.value(b, depth+1); err != nil {
			return nil, err
		}
	}
	_, _ = p.dec.ReadToken()
	return append(b, ']'), nil
}

// named is a member of an object.
type named struct {
	name  string
	value []byte
}

func (p *printer) object(b []byte, depth int) ([]byte, error) {
	_, _ = p.dec.ReadToken()
	var members []named
	for p.dec.PeekKind() != jsontext.KindEndObject {
		m, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	_, _ = p.dec.ReadToken()
	return appendMembers(b, members), nil
}

func (p *printer) member(depth int) (m named, err error) {
	raw, err := p.dec.ReadValue()
	if err != nil {
		return m, errNotJSON
	}
	m.name = unquote(raw)
	m.value, err = p.value(nil, depth+1)
	return m, err
}

func appendMembers(b []byte, members []named) []byte {
	slices.SortStableFunc(members, func(x, y named) int {
		if len(x.name) != len(y.name) {
			return len(x.name) - len(y.name)
		}
		return strings.Compare(x.name, y.name)
	})
	b = append(b, '{')
	separator := ""
	for i, m := range members {
		if i+1 < len(members) && members[i+1].name == m.name {
			continue // the last one counts
		}
		b = append(b, separator...)
		b = append(appendJSONText(b, m.name), ": "...)
		b = append(b, m.value...)
		separator = ", "
	}
	return append(b, '}')
}

// unquote returns what a JSON string holds, valid UTF-8 without NUL.
func unquote(raw jsontext.Value) string { return strings.ReplaceAll(nameOf(raw), "\x00", "") }

// nameOf returns what a JSON string holds, valid UTF-8: a name with a NUL is another than without.
func nameOf(raw jsontext.Value) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	b, _ := jsontext.AppendUnquote(nil, []byte(raw)) // it fails on invalid UTF-8 only, which it replaces
	return string(b)
}

// appendJSONText quotes a string as Postgres does: escape_json leaves all but quotes, backslashes and control characters alone.
func appendJSONText(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch at := strings.IndexByte("\"\\\b\f\n\r\t", c); {
		case at >= 0:
			b = append(b, '\\', `"\bfnrt`[at])
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// appendNumber writes a number as Postgres's numeric is printed: without exponent, and with no minus before a zero. It returns
// errTooLong for one that is beyond 64 bits and more than maxDigits.
func appendNumber(b []byte, s string) ([]byte, error) {
	if len(s) > maxDigits || strings.ContainsAny(s, "eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, errTooLong
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if !strings.ContainsAny(s, "123456789") {
		s = strings.TrimPrefix(s, "-")
	}
	return append(b, s...), nil
}
