package syncstream

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// ndjson is a line of NDJSON.
type ndjson struct {
	b     []byte
	lists []bool // of what is open: whether it is a list
}

func newNDJSON(size int) *ndjson {
	return &ndjson{b: append(make([]byte, 0, size), '{'), lists: make([]bool, 0, 8)}
}

// begin writes what comes before a value.
func (j *ndjson) begin(name string) {
	if last := j.b[len(j.b)-1]; last != '{' && last != '[' {
		j.b = append(j.b, ',')
	}
	if n := len(j.lists); n > 0 && j.lists[n-1] {
		return
	}
	j.b, _ = jsontext.AppendQuote(j.b, name) // it fails on invalid UTF-8 only, which it replaces
	j.b = append(j.b, ':')
}

func (j *ndjson) object(name string) {
	j.begin(name)
	j.b, j.lists = append(j.b, '{'), append(j.lists, false)
}

func (j *ndjson) list(name string) {
	j.begin(name)
	j.b, j.lists = append(j.b, '['), append(j.lists, true)
}

func (j *ndjson) end() {
	last := len(j.lists) - 1
	if j.lists[last] {
		j.b = append(j.b, ']')
	} else {
		j.b = append(j.b, '}')
	}
	j.lists = j.lists[:last]
}

func (j *ndjson) null(name string) {
	j.begin(name)
	j.b = append(j.b, "null"...)
}

func (j *ndjson) flag(name string, value bool) {
	j.begin(name)
	j.b = strconv.AppendBool(j.b, value)
}

func (j *ndjson) number(name string, value int64) {
	j.begin(name)
	j.b = strconv.AppendInt(j.b, value, 10)
}

func (j *ndjson) real(name string, value float64) {
	if math.IsInf(value, 0) { // JSON has none; JavaScript writes null
		j.null(name)
		return
	}
	j.begin(name)
	j.b = append(j.b, jsontext.Float(value).String()...)
}

func (j *ndjson) text(name string, value []byte) {
	j.begin(name)
	j.b, _ = jsontext.AppendQuote(j.b, value)
}

func (j *ndjson) bytes() []byte {
	return append(j.b, '}', '\n')
}
