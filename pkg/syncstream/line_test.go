package syncstream

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// TestBSON checks the examples of bsonspec.org, and the types that they do not have.
func TestBSON(t *testing.T) {
	for _, tt := range []struct {
		name string
		fill func(line)
		want string
	}{
		{"a text", func(l line) { textOf(l, "hello", "world") }, "\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00"},
		{
			"a list", func(l line) {
				l.list("BSON")
				textOf(l, "", "awesome")
				l.real("", 5.05)
				l.number("", 1986)
				l.end()
			},
			"1\x00\x00\x00\x04BSON\x00&\x00\x00\x00\x020\x00\x08\x00\x00\x00awesome\x00\x011\x00333333\x14@\x102\x00\xc2\x07\x00\x00\x00\x00",
		},
		{"the smallest number of 64 bits", func(l line) { l.number("n", math.MaxInt32+1) }, "\x10\x00\x00\x00\x12n\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00"},
		{"a negative number", func(l line) { l.number("n", -1) }, "\x0c\x00\x00\x00\x10n\x00\xff\xff\xff\xff\x00"},
		{"nothing, truth and an object", func(l line) {
			l.null("z")
			l.flag("t", true)
			l.flag("f", false)
			l.object("o")
			l.end()
		}, "\x18\x00\x00\x00\x0az\x00\x08t\x00\x01\x08f\x00\x00\x03o\x00\x05\x00\x00\x00\x00\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := BSON.newLine(0)
			tt.fill(l)
			if got := string(l.bytes()); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestEmbeddedNumbers(t *testing.T) {
	l := NDJSON.newLine(0)
	embed(l, "data", []byte(`{"a":-1,"b":9223372036854775807,"c":1e3,"d":1e999,"e":0.1,"f":false}`))
	const want = `{"data":{"a":-1,"b":9223372036854775807,"c":1000,"d":null,"e":0.1,"f":false}}` + "\n"
	if got := string(l.bytes()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// page returns operations of books as they are, filled.
func page() []Op {
	ops := make([]Op, pageOps)
	for i := range ops {
		ops[i] = NewPut("books", fmt.Sprintf("83f2a0d4-98ab-4f0c-8a4e-%012d", i), fmt.Appendf(nil,
			`{"id":"83f2a0d4-98ab-4f0c-8a4e-%012d","owner_user_id":"0b4320a7-1d9b-41bb-a4fe-94d50de84664","title":"The %dth book","author":"A. Uthor","isbn13":"97801410%05d","page_count":%d,"description":null,"custom_metadata":"{\"shelf\": \"blue\"}","added_at":"2026-11-22T02:04:14.159478Z"}`,
			i, i, i, i))
		ops[i].ID = int64(i + 1)
	}
	return ops
}

// BenchmarkPage builds the line of a page, beside a bare copy of its data. B/s are of the data.
func BenchmarkPage(b *testing.B) {
	ops, size := page(), int64(0)
	for _, op := range ops {
		size += int64(len(op.Data))
	}
	build := func(f Format) []byte {
		s := &Stream{request: Request{Format: f}}
		return s.pageLine(bucketName("user_books", "u1"), 0, pageOps, false, ops)
	}
	squeeze := func(w io.WriteCloser, err error) {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(build(NDJSON)); err != nil {
			b.Fatal(err)
		}
		_ = w.Close()
	}
	for name, work := range map[string]func(){
		"copy": func() {
			out := make([]byte, 0, size)
			for _, op := range ops {
				out = append(out, op.Data...)
			}
			_ = out
		},
		"ndjson": func() { build(NDJSON) },
		"bson":   func() { build(BSON) },
		"gzip":   func() { squeeze(gzip.NewWriterLevel(io.Discard, gzip.StatelessCompression)) },
		"gzip with state": func() {
			w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
			squeeze(w, err)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				work()
			}
		})
	}
	var squeezed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&squeezed, gzip.StatelessCompression)
	plain, _ := w.Write(build(NDJSON))
	b.Logf("a page of %d bytes of data is %d bytes of NDJSON, %d of BSON, %d of NDJSON in gzip", size, plain, len(build(BSON)), squeezed.Len())
}
