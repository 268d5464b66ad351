package library

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// What warnings say of values.
const (
	notText    = "must be text"
	notInteger = "must be a whole number of 32 bits"
	notReal    = "must be a finite number"
	notBoolean = "must be true or false"
	notTime    = "must be a time such as 2026-01-02T03:04:05Z"
	notList    = "must be a list of texts"
	notObject  = "must be a JSON object"
	notKept    = "must be JSON of at most %d bytes, nested at most %d deep"
	overLong   = "must have at most %d characters"
	cutOff     = "was cut to %d characters"
)

// maxRaw is how much longer than what is kept JSON may be as it was sent: \u0041 is one A.
const maxRaw = 8

// read returns the value that a device gave for the column, in the form of its kind. Of one that cannot be used it says why; given is
// false where nothing is to be set.
func (c Column) read(raw jsontext.Value) (value any, given bool, fault string) {
	if raw.Kind() == jsontext.KindNull {
		return c.null()
	}
	switch c.Kind {
	case Text:
		return c.text(raw)
	case Integer:
		value, fault = readInteger(raw)
	case Real:
		value, fault = readReal(raw)
	case Boolean:
		value, fault = readBoolean(raw)
	case Time:
		value, fault = readTime(raw)
	case List, Object:
		value, fault = c.json(raw)
	}
	return value, fault == "", fault
}

// null returns what stands for null: nothing is set in a column that has a value of the server's.
func (c Column) null() (value any, given bool, fault string) {
	switch {
	case c.Set == ByCreation:
		return nil, false, ""
	case c.Blank != "":
		return c.Blank, true, ""
	}
	return c.Default, true, ""
}

// text also takes a number, as it is written: an ISBN loses nothing. What is too long is left out, but cut where there must be
// something.
func (c Column) text(raw jsontext.Value) (value any, given bool, fault string) {
	var s string
	switch raw.Kind() {
	case jsontext.KindString:
		s = unquote(raw)
	case jsontext.KindNumber:
		s = string(raw)
	default:
		return nil, false, notText
	}
	if s == "" {
		s = c.Blank
	}
	if len(s) <= c.MaxLen || utf8.RuneCountInString(s) <= c.MaxLen {
		return s, true, ""
	}
	if c.Blank == "" {
		return nil, false, fmt.Sprintf(overLong, c.MaxLen)
	}
	return cut(s, c.MaxLen), true, fmt.Sprintf(cutOff, c.MaxLen)
}

// cut returns the first n code points of s.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// number returns the number of a JSON number, or of a string that holds one.
func number(raw jsontext.Value) (float64, bool) {
	text := string(raw)
	if raw.Kind() == jsontext.KindString {
		text = strings.TrimSpace(unquote(raw))
	}
	if n := jsontext.Value(text); n.Kind() != jsontext.KindNumber || !n.IsValid() { // no hexadecimal, no NaN
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

func readInteger(raw jsontext.Value) (any, string) {
	f, ok := number(raw)
	if !ok || f != math.Trunc(f) || f < math.MinInt32 || f > math.MaxInt32 {
		return nil, notInteger
	}
	return int64(f), ""
}

func readReal(raw jsontext.Value) (any, string) {
	f, ok := number(raw)
	switch {
	case !ok:
		return nil, notReal
	case f == 0:
		return 0.0, "" // and not -0, which SQLite does not keep
	}
	return f, ""
}

func readBoolean(raw jsontext.Value) (any, string) {
	text := string(raw)
	if raw.Kind() == jsontext.KindString {
		text = unquote(raw)
	}
	switch f, ok := number(raw); {
	case text == "true", ok && f == 1:
		return int64(1), ""
	case text == "false", ok && f == 0:
		return int64(0), ""
	}
	return nil, notBoolean
}

// timeForm is that of kept times: ISO 8601 in UTC, to the microsecond.
const timeForm = "2006-01-02T15:04:05.000000Z"

// timeForms are those that are read; each may have a fraction of seconds. A time without zone is in UTC.
var timeForms = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly,
}

// maxTimeLen is more than a time with nanoseconds and zone has.
const maxTimeLen = 64

func readTime(raw jsontext.Value) (any, string) {
	if raw.Kind() != jsontext.KindString || len(raw) > maxTimeLen {
		return nil, notTime
	}
	text := strings.Replace(strings.TrimSpace(unquote(raw)), " ", "T", 1)
	for _, form := range timeForms {
		t, err := time.Parse(form, text)
		if err != nil {
			continue
		}
		if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
			break
		}
		return formatTime(t), ""
	}
	return nil, notTime
}

// formatTime returns a time of the years 1 to 9999 in the form of the kind Time.
func formatTime(t time.Time) string { return t.UTC().Format(timeForm) }

// json takes the value itself, or text that holds it.
func (c Column) json(raw jsontext.Value) (any, string) {
	if raw.Kind() == jsontext.KindString {
		raw = jsontext.Value(unquote(raw))
	}
	tooMuch := fmt.Sprintf(notKept, c.MaxLen, maxDepth)
	if len(raw) > maxRaw*c.MaxLen {
		return nil, tooMuch
	}
	shape, fault := jsontext.KindBeginArray, notList
	if c.Kind == Object {
		shape, fault = jsontext.KindBeginObject, notObject
	}
	if raw.Kind() != shape {
		return nil, fault
	}
	b, err := canonical(raw, c.MaxLen)
	switch {
	case errors.Is(err, errNotJSON), err == nil && c.Kind == List && !isListOfTexts(b):
		return nil, fault
	case err != nil:
		return nil, tooMuch
	}
	return string(b), ""
}

// isListOfTexts reports whether a JSON array has nothing but strings.
func isListOfTexts(array []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(array))
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() == jsontext.KindString {
		err = dec.SkipValue()
	}
	return dec.PeekKind() == jsontext.KindEndArray
}
