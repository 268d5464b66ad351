package powersync

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzLines reads streams in both encodings: whatever they hold ends in an error, after lines that are no larger than it.
func FuzzLines(f *testing.F) {
	for _, text := range []string{
		`{"checkpoint":{"last_op_id":"2","write_checkpoint":"1","buckets":[{"bucket":"b","checksum":-1,"count":2,"priority":1,"subscriptions":[{"default":0}]}]}}` + "\n",
		`{"data":{"bucket":"b","after":"0","data":[{"op_id":"1","op":"PUT","object_type":"books","object_id":"i","subkey":"s","data":"{}","checksum":3104913732}]}}` + "\n",
		`{"checkpoint_diff":{"updated_buckets":[],"removed_buckets":["b"]}}` + "\n" + `{"token_expires_in":20}` + "\n",
		`{"partial_checkpoint_complete":{"last_op_id":"2","priority":0}}`,
	} {
		f.Add(text, false)
	}
	for _, document := range bsonLines {
		f.Add(document, true)
	}
	f.Fuzz(func(t *testing.T, text string, bson bool) {
		contentType := ndjsonType
		if bson {
			contentType = bsonType
		}
		reader, err := newLineReader(contentType, bytes.NewReader([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		for range len(text) + 1 {
			l, err := reader.next()
			if err != nil {
				return
			}
			if l.Data != nil && len(l.Data.Ops) > len(text) {
				t.Errorf("%d operations of %d bytes", len(l.Data.Ops), len(text))
			}
		}
		t.Error("the stream does not end")
	})
}

// bsonLines are documents as a BSON library writes them: {"token_expires_in": 20} as int32, int64 and double, and a line of data.
var bsonLines = []string{
	"\x1b\x00\x00\x00\x10token_expires_in\x00\x14\x00\x00\x00\x00",
	"\x1f\x00\x00\x00\x12token_expires_in\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00",
	"\x1f\x00\x00\x00\x01token_expires_in\x00\x00\x00\x00\x00\x00\x00\x34\x40\x00",
}

func TestBSON(t *testing.T) {
	for _, document := range bsonLines {
		reader := &bsonReader{bufio.NewReader(strings.NewReader(document))}
		l, err := reader.next()
		if err != nil || l.ExpiresIn == nil || *l.ExpiresIn != 20 {
			t.Errorf("%q is read as %+v, %v", document, l, err)
		}
		if _, err := reader.next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last line: %v", err)
		}
		if _, err := (&bsonReader{bufio.NewReader(strings.NewReader(document[:len(document)-1]))}).next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a line that is cut off: %v", err)
		}
	}
}

// TestLongLists refuses lists that would take many times the memory of their text.
func TestLongLists(t *testing.T) {
	document := func(elements string) string {
		return string(binary.LittleEndian.AppendUint32(nil, uint32(len(elements)+5))) + elements + "\x00"
	}
	objects := func(n int) map[string]string {
		ops := document(strings.Repeat("\x03\x00"+document(""), n))
		return map[string]string{
			ndjsonType: `{"data":{"bucket":"b","data":[` + strings.Repeat("{},", n-1) + "{}]}}\n",
			bsonType:   document("\x03data\x00" + document("\x04data\x00"+ops)),
		}
	}
	for n, want := range map[int]error{maxList: nil, maxList + 1: errLongList} {
		for contentType, text := range objects(n) {
			reader, err := newLineReader(contentType, strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			l, err := reader.next()
			if !errors.Is(err, want) || err == nil && len(l.Data.Ops) != n {
				t.Errorf("%s with %d operations: %v", contentType, n, err)
			}
		}
	}
}
