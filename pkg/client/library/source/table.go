package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// What is read of a CSV file at most, in bytes and fields.
const (
	maxTable   = 32 << 20
	maxHeader  = 64 << 10
	maxColumns = 1000
)

// openTable reads a CSV file once, to know its columns and how many rows it has.
func openTable(path string) (*Source, error) {
	file, err := os.Open(path) //nolint:gosec // it is what the user asks for
	if err != nil {
		return nil, err
	}
	t := &table{file: file}
	info, err := file.Stat()
	if err == nil && info.Size() > maxTable {
		err = errTooLarge
	}
	size := 0
	if err == nil {
		size, err = t.count()
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Source{Path: path, Size: size, books: t.books, close: file.Close}, nil
}

// table is a CSV file with a header.
type table struct {
	file    *os.File
	columns []field // by their place; nil for one that is not imported
}

// rewind begins to read the file, at the row after the header.
func (t *table) rewind() (*csv.Reader, error) {
	if _, err := t.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(transform.NewReader(&limited{t.file, maxTable}, unicode.BOMOverride(transform.Nop)), maxHeader)
	head, err := in.Peek(maxHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head, _, _ = bytes.Cut(head, []byte("\n"))
	r := csv.NewReader(in)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord, r.ReuseRecord = delimiter(head), true, -1, true
	header, err := r.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty")
	case err != nil:
		return nil, err
	}
	t.columns, err = fieldsOf(header)
	return r, err
}

// delimiter returns what stands between the names of a header: a comma, a semicolon or a tab, whichever is there most often.
func delimiter(header []byte) rune {
	best := ','
	for _, r := range ";\t" {
		if bytes.Count(header, []byte(string(r))) > bytes.Count(header, []byte(string(best))) {
			best = r
		}
	}
	return best
}

func (t *table) count() (rows int, err error) {
	r, err := t.rewind()
	if err != nil {
		return 0, err
	}
	for ; ; rows++ {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return rows, nil
		} else if broken(err) {
			return 0, err
		}
	}
}

// broken reports whether no further row can be read: one that is wrong by itself does not keep the next one.
func broken(err error) bool {
	_, ofRow := errors.AsType[*csv.ParseError](err)
	return err != nil && !ofRow
}

// books yields the rows.
func (t *table) books(ctx context.Context) iter.Seq[Find] {
	return func(yield func(Find) bool) {
		r, err := t.rewind()
		if err != nil {
			yield(Find{Name: "row 1", Err: err})
			return
		}
		for row := 2; ctx.Err() == nil; row++ {
			fields, err := r.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			f := Find{Name: fmt.Sprintf("row %d", row), Err: err}
			if err == nil {
				f.Err = f.readRow(t.columns, fields)
			}
			if !yield(f) || broken(err) {
				return
			}
		}
	}
}

// readRow takes a book from the fields of a row.
func (f *Find) readRow(columns []field, fields []string) error {
	f.Digest = digestOf(fields)
	if len(fields) > len(columns) {
		return fmt.Errorf("it has %d fields, and the header %d", len(fields), len(columns))
	}
	for i, text := range fields {
		if !utf8.ValidString(text) {
			return errors.New("it is not in UTF-8: save the file in that encoding")
		}
		if text = unformula(text); columns[i] != nil && text != "" {
			columns[i](f, text)
		}
	}
	if f.Book.Title == "" {
		return errNoTitle
	}
	return nil
}

// unformula takes a text out of ="0140328726", as which spreadsheets are told not to take a number for one.
func unformula(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, `="`); ok {
		return strings.TrimSpace(strings.TrimSuffix(inner, `"`))
	}
	return text
}

// digestOf tells rows apart by all their fields, the length of each before it.
func digestOf(fields []string) string {
	h := sha256.New()
	for _, text := range fields {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		_, _ = io.WriteString(h, text)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
