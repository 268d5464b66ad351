package syncstream

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The types of BSON's elements that lines have (bsonspec.org, version 1.1).
const (
	bsonDouble byte = 0x01
	bsonString byte = 0x02
	bsonObject byte = 0x03
	bsonList   byte = 0x04
	bsonBool   byte = 0x08
	bsonNull   byte = 0x0a
	bsonInt32  byte = 0x10
	bsonInt64  byte = 0x12
)

// bson is a line of BSON.
type bson struct {
	b    []byte
	open []bsonLevel
}

// bsonLevel is an object or a list that has not ended.
type bsonLevel struct {
	start int // of its length
	next  int // index of a list's next element; -1 for an object
}

func newBSON(size int) *bson {
	d := &bson{b: make([]byte, 0, size), open: make([]bsonLevel, 0, 8)}
	d.begin(-1)
	return d
}

// begin leaves room for the length, which end knows.
func (d *bson) begin(next int) {
	d.open = append(d.open, bsonLevel{start: len(d.b), next: next})
	d.b = append(d.b, 0, 0, 0, 0)
}

func (d *bson) end() {
	last := len(d.open) - 1
	start := d.open[last].start
	d.open = d.open[:last]
	d.b = append(d.b, 0)
	binary.LittleEndian.PutUint32(d.b[start:], uint32(len(d.b)-start)) //nolint:gosec // G115: lines are far shorter than 2 GiB
}

// element writes what comes before a value. The elements of a list are named by their index.
func (d *bson) element(kind byte, name string) {
	d.b = append(d.b, kind)
	if top := &d.open[len(d.open)-1]; top.next >= 0 {
		d.b = strconv.AppendInt(d.b, int64(top.next), 10)
		top.next++
	} else {
		d.b = append(d.b, name...)
	}
	d.b = append(d.b, 0)
}

func (d *bson) object(name string) {
	d.element(bsonObject, name)
	d.begin(-1)
}

func (d *bson) list(name string) {
	d.element(bsonList, name)
	d.begin(0)
}

func (d *bson) null(name string) { d.element(bsonNull, name) }

func (d *bson) flag(name string, value bool) {
	d.element(bsonBool, name)
	if value {
		d.b = append(d.b, 1)
	} else {
		d.b = append(d.b, 0)
	}
}

func (d *bson) number(name string, value int64) {
	if short := int32(value); int64(short) == value { //nolint:gosec // G115: compared
		d.element(bsonInt32, name)
		d.b = binary.LittleEndian.AppendUint32(d.b, uint32(short)) //nolint:gosec // G115: its bits
		return
	}
	d.element(bsonInt64, name)
	d.b = binary.LittleEndian.AppendUint64(d.b, uint64(value)) //nolint:gosec // G115: its bits
}

func (d *bson) real(name string, value float64) {
	d.element(bsonDouble, name)
	d.b = binary.LittleEndian.AppendUint64(d.b, math.Float64bits(value))
}

func (d *bson) text(name string, value []byte) {
	d.element(bsonString, name)
	d.b = binary.LittleEndian.AppendUint32(d.b, uint32(len(value)+1)) //nolint:gosec // G115: texts are far shorter than 2 GiB
	d.b = append(append(d.b, value...), 0)
}

func (d *bson) bytes() []byte {
	d.end()
	return d.b
}
