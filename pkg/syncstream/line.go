package syncstream

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Format is how the lines of a stream are written.
type Format int

// The formats.
const (
	NDJSON Format = iota // a JSON object and a newline
	BSON                 // a BSON document
)

// line builds one line of a stream: an object, member by member. An element of a list has no name.
type line interface {
	object(name string)
	list(name string)
	end() // of the object or the list that was begun last
	null(name string)
	flag(name string, value bool)
	number(name string, value int64)
	real(name string, value float64)
	text(name string, value []byte)
	bytes() []byte // of the whole line, to which nothing is added any more
}

// newLine returns an empty one, with room for so many bytes.
func (f Format) newLine(size int) line {
	if f == BSON {
		return newBSON(size)
	}
	return newNDJSON(size)
}

func textOf(l line, name, value string) { l.text(name, []byte(value)) }

// decimal adds an ID, which JavaScript could not hold as a number.
func decimal(l line, name string, id int64) { l.text(name, strconv.AppendInt(nil, id, 10)) }

// lineOf returns the line of one member that is an object.
func lineOf(f Format, name string, fill func(line)) []byte {
	l := f.newLine(256)
	l.object(name)
	fill(l)
	l.end()
	return l.bytes()
}

// completeLine tells that a checkpoint is complete, or its part of a priority.
func completeLine(f Format, head int64) []byte {
	return lineOf(f, "checkpoint_complete", func(l line) { decimal(l, "last_op_id", head) })
}

func partialLine(f Format, head int64, priority int) []byte {
	return lineOf(f, "partial_checkpoint_complete", func(l line) {
		decimal(l, "last_op_id", head)
		l.number("priority", int64(priority))
	})
}

// expiryLine tells how many seconds a token is good for; 0 sends the device for another.
func expiryLine(f Format, seconds int64) []byte {
	l := f.newLine(64)
	l.number("token_expires_in", seconds)
	return l.bytes()
}

// pageLine sends operations of a bucket, those from after to next.
func (s *Stream) pageLine(bucket string, after, next int64, more bool, ops []Op) []byte {
	size := 256
	for _, op := range ops {
		size += len(op.Data) + len(op.Data)/4 + 192
	}
	l := s.request.Format.newLine(size)
	l.object("data")
	textOf(l, "bucket", bucket)
	decimal(l, "after", after)
	decimal(l, "next_after", next)
	l.flag("has_more", more)
	l.list("data")
	for i := range ops {
		s.op(l, &ops[i])
	}
	l.end()
	l.end()
	return l.bytes()
}

func (s *Stream) op(l line, op *Op) {
	l.object("")
	decimal(l, "op_id", op.ID)
	textOf(l, "op", string(op.Kind))
	if op.Kind == Put || op.Kind == Remove {
		textOf(l, "object_type", op.Table)
		textOf(l, "object_id", op.ObjectID)
	}
	l.number("checksum", int64(op.Checksum))
	switch {
	case op.Kind == Remove:
		l.null("data")
	case op.Kind == Put && s.request.Nested:
		embed(l, "data", op.Data)
	case op.Kind == Put:
		l.text("data", op.Data)
	}
	l.end()
}

// embed adds JSON as what it stands for.
func embed(l line, name string, text []byte) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.ReadToken()
		if err != nil {
			return // its end: what was stored is valid
		}
		if parent, n := d.StackIndex(d.StackDepth()); parent == jsontext.KindBeginObject && n%2 == 1 {
			name = token.String() // a member's name comes before its value
			continue
		}
		embedToken(l, name, token)
		name = ""
	}
}

func embedToken(l line, name string, token jsontext.Token) {
	switch token.Kind() {
	case jsontext.KindBeginObject:
		l.object(name)
	case jsontext.KindBeginArray:
		l.list(name)
	case jsontext.KindEndObject, jsontext.KindEndArray:
		l.end()
	case jsontext.KindString:
		textOf(l, name, token.String())
	case jsontext.KindNumber:
		embedNumber(l, name, token.String())
	case jsontext.KindTrue, jsontext.KindFalse:
		l.flag(name, token.Bool())
	default:
		l.null(name)
	}
}

func embedNumber(l line, name, text string) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		l.number(name, n)
		return
	}
	f, _ := strconv.ParseFloat(text, 64) // out of its range it is infinite, as in JavaScript
	l.real(name, f)
}
