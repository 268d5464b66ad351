// Package strictjson decodes the JSON objects that strangers send: one object, valid UTF-8, no member name twice, member
// names matched to the letter (contract: provisioning, section 1 step 5). It does not check what the members hold.
package strictjson

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrNotObject means that the text is no single JSON object.
var ErrNotObject = errors.New("not one JSON object")

// UnmarshalObject decodes data into the struct v points to. Members that v does not name are ignored. It returns
// ErrNotObject when data breaks the rules of the package, and another error when a member has a type that v cannot hold; v is then
// empty.
func UnmarshalObject[T any](data []byte, v *T) error {
	value := jsontext.Value(data)
	if value.Kind() != jsontext.KindBeginObject {
		return ErrNotObject
	}
	err := json.Unmarshal(data, v) // by the same rules
	if err == nil {
		return nil
	}
	*v = *new(T)
	if !value.IsValid() {
		return ErrNotObject
	}
	return fmt.Errorf("decode: %w", err)
}

// Text is an optional string member. A member of another type, null included, counts as missing: whoever needs it says
// so by name, instead of refusing the whole object.
type Text struct {
	Value   string
	Present bool // the member is there, whatever its type
	Valid   bool // the member is there and a string
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (t *Text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	t.Present = true
	if dec.PeekKind() != jsontext.KindString {
		return dec.SkipValue()
	}
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	t.Value, t.Valid = token.String(), true
	return nil
}
