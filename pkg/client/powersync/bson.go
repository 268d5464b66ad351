package powersync

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// The types of BSON's elements (bsonspec.org, version 1.1) that lines have.
const (
	bsonDouble byte = 0x01
	bsonString byte = 0x02
	bsonObject byte = 0x03
	bsonList   byte = 0x04
	bsonInt32  byte = 0x10
	bsonInt64  byte = 0x12
)

// bsonSizes are the sizes of the values of other types, which lines of the future may have.
var bsonSizes = map[byte]int{
	0x06: 0, 0x0a: 0, 0x7f: 0, 0xff: 0, // undefined, null, greatest and least key
	0x08: 1,                    // boolean
	0x09: 8, 0x11: 8, 0x13: 16, // date, timestamp, decimal
	0x07: 12, // object id
}

var errBSON = errors.New("invalid BSON")

// element is one of a document's.
type element struct {
	kind  byte
	name  string
	value []byte
}

// eachElement calls visit with the elements of a document, which is checked as it is read.
func eachElement(document []byte, visit func(e element) error) error {
	if len(document) < 5 || int64(binary.LittleEndian.Uint32(document)) != int64(len(document)) || document[len(document)-1] != 0 {
		return errBSON
	}
	for rest := document[4 : len(document)-1]; len(rest) > 0; {
		name, after, found := bytes.Cut(rest[1:], []byte{0})
		if !found {
			return errBSON
		}
		size, ok := bsonSize(rest[0], after)
		if !ok || size > len(after) {
			return errBSON
		}
		if err := visit(element{rest[0], string(name), after[:size]}); err != nil {
			return err
		}
		rest = after[size:]
	}
	return nil
}

// bsonSize returns the size of the value that b begins with.
func bsonSize(kind byte, b []byte) (int, bool) {
	switch kind {
	case bsonDouble, bsonInt64:
		return 8, true
	case bsonInt32:
		return 4, true
	case bsonString, bsonObject, bsonList:
		if len(b) < 4 {
			return 0, false
		}
		size := int64(binary.LittleEndian.Uint32(b))
		if kind == bsonString {
			size += 4
		}
		return int(min(size, math.MaxInt32)), size >= 5
	}
	size, ok := bsonSizes[kind]
	return size, ok
}

// read puts the element into what into points to, if it is one of the types of lines' values. Null leaves it as it is.
func (e element) read(into any) error {
	switch into := into.(type) {
	case *string:
		return e.text(into)
	case *int64:
		return e.number(into)
	case *decimal:
		var text string
		if err := e.text(&text); err != nil {
			return err
		}
		return into.UnmarshalText([]byte(text))
	}
	return errBSON
}

func (e element) text(into *string) error {
	switch {
	case e.isNull():
	case e.kind == bsonString && e.value[len(e.value)-1] == 0 && utf8.Valid(e.value[4:]):
		*into = string(e.value[4 : len(e.value)-1])
	default:
		return errBSON
	}
	return nil
}

func (e element) number(into *int64) error {
	switch {
	case e.isNull():
	case e.kind == bsonInt32:
		*into = int64(int32(binary.LittleEndian.Uint32(e.value))) //nolint:gosec // G115: its bits
	case e.kind == bsonInt64:
		*into = int64(binary.LittleEndian.Uint64(e.value)) //nolint:gosec // G115: its bits
	case e.kind == bsonDouble:
		f := math.Float64frombits(binary.LittleEndian.Uint64(e.value))
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return errBSON
		}
		*into = int64(f)
	default:
		return errBSON
	}
	return nil
}

func (e element) isNull() bool { return e.kind == 0x0a }

// members reads the elements of a document into those of fields that are named as they are; others are ignored.
func members(document []byte, fields map[string]any) error {
	return eachElement(document, func(e element) error {
		switch into := fields[e.name].(type) {
		case nil:
			return nil
		case func(element) error:
			return into(e)
		default:
			return e.read(into)
		}
	})
}

// listOf returns a field that is a list, each element of which read puts into one of into.
func listOf[T any](into *list[T], read func(e element, into *T) error) func(element) error {
	return func(e element) error {
		if e.isNull() {
			return nil
		}
		if e.kind != bsonList {
			return errBSON
		}
		return eachElement(e.value, func(e element) error {
			added, err := into.add()
			if err != nil {
				return err
			}
			return read(e, added)
		})
	}
}

// listOfObjects is listOf for elements that are objects.
func listOfObjects[T any](into *list[T], read func(into *T, document []byte) error) func(element) error {
	return listOf(into, func(e element, into *T) error {
		return objectOf(func(document []byte) error { return read(into, document) })(e)
	})
}

// objectOf returns a field that is an object.
func objectOf(read func(document []byte) error) func(element) error {
	return func(e element) error {
		if e.isNull() {
			return nil
		}
		if e.kind != bsonObject {
			return errBSON
		}
		return read(e.value)
	}
}

func lineOfBSON(document []byte) (line, error) {
	var l line
	err := members(document, map[string]any{
		"checkpoint": objectOf(func(d []byte) error {
			l.Checkpoint = new(checkpoint)
			return members(d, map[string]any{
				"write_checkpoint": optional(&l.Checkpoint.WriteCheckpoint),
				"buckets":          listOfObjects(&l.Checkpoint.Buckets, (*bucketState).readBSON),
			})
		}),
		"checkpoint_diff": objectOf(func(d []byte) error {
			l.Diff = new(checkpointDiff)
			return members(d, map[string]any{
				"write_checkpoint": optional(&l.Diff.WriteCheckpoint),
				"updated_buckets":  listOfObjects(&l.Diff.Updated, (*bucketState).readBSON),
				"removed_buckets":  listOf(&l.Diff.Removed, func(e element, name *string) error { return e.text(name) }),
			})
		}),
		"data": objectOf(func(d []byte) error {
			l.Data = new(page)
			return members(d, map[string]any{"bucket": &l.Data.Bucket, "data": listOfObjects(&l.Data.Ops, (*operation).readBSON)})
		}),
		"partial_checkpoint_complete": objectOf(func(d []byte) error {
			l.Partial = new(completion)
			return members(d, map[string]any{"priority": &l.Partial.Priority})
		}),
		"checkpoint_complete": objectOf(func(d []byte) error {
			l.Complete = new(completion)
			return members(d, nil)
		}),
		"token_expires_in": optional(&l.ExpiresIn),
	})
	return l, err
}

// optional returns a field that is nil unless it is there.
func optional[T any](into **T) func(element) error {
	return func(e element) error {
		if e.isNull() {
			return nil
		}
		*into = new(T)
		return e.read(*into)
	}
}

func (b *bucketState) readBSON(document []byte) error {
	return members(document, map[string]any{
		"bucket": &b.Bucket, "checksum": &b.Checksum, "count": &b.Count, "priority": optional(&b.Priority),
	})
}

// readBSON is called for every row, so it makes no map of fields.
func (op *operation) readBSON(document []byte) error {
	return eachElement(document, func(e element) error {
		switch e.name {
		case "op_id":
			return e.read(&op.ID)
		case "op":
			return e.text(&op.Kind)
		case "object_type":
			return e.text(&op.Type)
		case "object_id":
			return e.text(&op.RowID)
		case "subkey":
			return e.text(&op.Subkey)
		case "data":
			return e.text(&op.Data)
		case "checksum":
			return e.number(&op.Checksum)
		}
		return nil
	})
}
