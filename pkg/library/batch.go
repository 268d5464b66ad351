package library

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// op is what a mutation does.
type op byte

const (
	put op = iota
	patch
	remove
)

var ops = map[string]op{"PUT": put, "PATCH": patch, "DELETE": remove}

// mutation is one operation of a transaction.
type mutation struct {
	op    op
	ref   int // into the transaction's refs
	opID  *int64
	given []given
}

// given is the value of one column.
type given struct {
	column int // into the table's
	value  any
}

// transaction is what a device queued between two commits, decoded. A rejected one has no mutations.
type transaction struct {
	refs      []Ref
	mutations []mutation
	warnings  []warning
	rejected  rejections
	empty     bool              // the batch has no element
	digest    [sha256.Size]byte // zero where an element has no op_id: two equal ones may both be meant
}

// decode reads a transaction from the body of a request. It returns ErrMalformed for one that is no upload at all, and ErrIncomplete
// where the body broke off.
func decode(src *source) (*transaction, error) {
	d := &decoder{dec: newDecoder(src)}
	err := d.body()
	switch {
	case src.err != nil:
		return nil, src.err
	case errors.Is(err, errOverSize):
		d.overSize(src.limit)
		return &d.transaction, src.drain()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.numbered {
		d.hash.Sum(d.digest[:0])
	}
	return &d.transaction, nil
}

type decoder struct {
	transaction
	dec      *jsontext.Decoder
	index    map[Ref]int
	first    *element // the beginning of the batch, for what can be said of one over the size
	hash     hash.Hash
	numbered bool
	data     []byte // of the element
	line     []byte // of the digest
}

var (
	errNotObject = errors.New("not an object")
	errNoBatch   = errors.New("batch is missing or not an array")
)

// body reads the one object of the request. Of several batches the last counts.
func (d *decoder) body() error {
	if d.dec.PeekKind() != jsontext.KindBeginObject {
		_, err := d.dec.ReadValue() // says what is wrong, if it is not the kind
		return errors.Join(errNotObject, err)
	}
	_, _ = d.dec.ReadToken()
	found := errNoBatch
	for d.dec.PeekKind() != jsontext.KindEndObject {
		name, err := d.dec.ReadValue()
		if err != nil {
			return err
		}
		if nameOf(name) != "batch" {
			err = d.dec.SkipValue()
		} else {
			found, err = d.batch()
		}
		if err != nil {
			return err
		}
	}
	_, _ = d.dec.ReadToken()
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("something follows the object"), err)
	}
	return found
}

// batch reads the elements, or returns errNoBatch as what is wrong with a value that is no array.
func (d *decoder) batch() (wrong, err error) {
	d.transaction, d.index, d.first = transaction{empty: true}, make(map[Ref]int), nil
	d.hash, d.numbered = sha256.New(), true
	if d.dec.PeekKind() != jsontext.KindBeginArray {
		return errNoBatch, d.dec.SkipValue()
	}
	_, _ = d.dec.ReadToken()
	for d.dec.PeekKind() != jsontext.KindEndArray {
		e, err := d.element()
		if err != nil {
			return nil, err
		}
		d.empty = false
		d.take(e)
	}
	_, err = d.dec.ReadToken()
	return nil, err
}

// element is one of the batch as it was sent.
type element struct {
	op, table, id string
	opID, txID    *int64
	data          jsontext.Value // nil or null where there is none
}

// element reads the next one. One that is no object has no members.
func (d *decoder) element() (*element, error) {
	e := &element{}
	if d.first == nil {
		d.first = e
	}
	if d.dec.PeekKind() != jsontext.KindBeginObject {
		return e, d.dec.SkipValue()
	}
	_, _ = d.dec.ReadToken()
	for d.dec.PeekKind() != jsontext.KindEndObject {
		raw, err := d.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		name := nameOf(raw)
		value, err := d.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		d.member(e, name, value)
	}
	_, err := d.dec.ReadToken()
	return e, err
}

// member takes a member of an element. Null is as good as none.
func (d *decoder) member(e *element, name string, value jsontext.Value) {
	if value.Kind() == jsontext.KindNull {
		return
	}
	switch name {
	case "op":
		e.op = strings.ToUpper(textOf(value))
	case "type", "table":
		e.table = textOf(value)
	case "id":
		e.id = textOf(value)
	case "op_id":
		e.opID = wholeNumber(value)
	case "tx_id":
		e.txID = wholeNumber(value)
	case "data", "op_data", "opData":
		d.data = append(d.data[:0], value...)
		e.data = d.data
	}
}

// textOf returns what a string holds, "" for any other value.
func textOf(value jsontext.Value) string {
	if value.Kind() != jsontext.KindString {
		return ""
	}
	return unquote(value)
}

// wholeNumber returns the number of an operation or a transaction, nil for what is none.
func wholeNumber(value jsontext.Value) *int64 {
	digits := string(value)
	if value.Kind() == jsontext.KindString {
		digits = unquote(value)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// take adds an element to the transaction.
func (d *decoder) take(e *element) {
	m := mutation{opID: e.opID}
	table := ByName(e.table)
	id, isID := rowID(e.id)
	var known bool
	switch m.op, known = ops[e.op]; {
	case !known:
		d.reject(e, unknownOp)
	case table == nil:
		d.reject(e, unknownTable)
	case !isID:
		d.reject(e, invalidID)
	default:
		m.given = d.columns(&m, table, e.data)
	}
	d.record(e, table, m.given)
	if len(d.rejected) == 0 {
		m.ref = d.ref(Ref{table, id})
		d.mutations = append(d.mutations, m)
	}
}

// record adds an element to what the digest is taken of.
func (d *decoder) record(e *element, table *Table, values []given) {
	d.numbered = d.numbered && e.opID != nil
	b := appendMember(append(d.line[:0], '{'), "op", e.op)
	b = appendMember(append(b, ','), "table", e.table)
	b = appendMember(append(b, ','), "id", e.id)
	b = appendMember(append(b, ','), "op_id", numberOrNil(e.opID))
	b = appendMember(append(b, ','), "tx_id", numberOrNil(e.txID))
	for _, g := range values {
		b = appendMember(append(b, ','), table.Columns[g.column].Name, g.value)
	}
	if table == nil {
		b = appendMember(append(b, ','), "data", string(e.data))
	}
	b = append(b, '}', '\n')
	d.hash.Write(b)
	d.line = b
}

func numberOrNil(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// rowID returns a UUID in lower case.
func rowID(s string) (string, bool) {
	id, err := uuid.Parse(s)
	return id.String(), err == nil && len(s) == len(id.String()) // and not in braces, as a URN or without hyphens
}

// ref returns where a row stands in the transaction's refs.
func (d *decoder) ref(r Ref) int {
	i, known := d.index[r]
	if !known {
		i = len(d.refs)
		d.refs, d.index[r] = append(d.refs, r), i
	}
	return i
}

// columns returns what the data of a mutation gives, in the order of the table's columns.
func (d *decoder) columns(m *mutation, table *Table, data jsontext.Value) []given {
	if m.op == remove || data == nil {
		return nil
	}
	if data.Kind() != jsontext.KindBeginObject {
		d.warn(m.opID, "data", notObject)
		return nil
	}
	values := make([]jsontext.Value, len(table.Columns))
	dec := newDecoder(bytes.NewBuffer(data))
	_, _ = dec.ReadToken()
	for dec.PeekKind() == jsontext.KindString {
		raw, _ := dec.ReadValue() // all of it has been read before: it is valid
		name := nameOf(raw)
		value, _ := dec.ReadValue()
		if i, known := table.column(name); known {
			values[i] = value.Clone()
		} else if name != "id" && name != table.Key && name != table.Owner {
			d.warn(m.opID, name, unknownField)
		}
	}
	return d.readAll(m, table, values)
}

// readAll returns what can be used of the values of a table's columns; nil is none.
func (d *decoder) readAll(m *mutation, table *Table, values []jsontext.Value) []given {
	var out []given
	for i, c := range table.Columns {
		if values[i] == nil || c.Set == ByServer {
			continue
		}
		value, isGiven, fault := c.read(values[i])
		if fault != "" {
			d.warn(m.opID, c.Name, fault)
		}
		if m.op == patch && c.Kind == Object && value == "{}" {
			continue // shipped clients send it without meaning it
		}
		if isGiven {
			out = append(out, given{i, value})
		}
	}
	return out
}
