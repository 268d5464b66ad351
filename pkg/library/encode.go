package library

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Encode returns a row as devices get it: a JSON object of "id", the key and the owner by their names, and the columns, in this order.
// It is what the real PowerSync Service sends for config/powersync/sync-config.yaml.
func (t *Table) Encode(id, owner string, r Row) []byte {
	b := append(make([]byte, 0, 512), '{')
	b = appendMember(b, "id", id)
	b = appendMember(append(b, ','), t.Key, id)
	b = appendMember(append(b, ','), t.Owner, owner)
	for i, c := range t.Columns {
		b = appendMember(append(b, ','), c.Name, r[i])
	}
	return append(b, '}')
}

func appendMember(b []byte, name string, value any) []byte {
	b = appendQuoted(b, name)
	b = append(b, ':')
	switch v := value.(type) {
	case string:
		return appendQuoted(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return appendReal(b, v)
	}
	return append(b, "null"...)
}

// appendReal writes a number as ECMAScript does, but with ".0" where that is an integer's form: devices are to take it for a REAL.
func appendReal(b []byte, v float64) []byte {
	text := jsontext.Float(v + 0).String() // no negative zero
	b = append(b, text...)
	if strings.ContainsAny(text, ".e") {
		return b
	}
	return append(b, ".0"...)
}

// appendQuoted quotes text that is valid UTF-8.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // it fails on invalid UTF-8 only, which it replaces
	return b
}
