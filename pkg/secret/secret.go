// Package secret holds the type of values that must not be printed. It does not fetch, store or encrypt them.
package secret

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a secret string: a key, a password, a token. However it is printed, logged or marshalled it shows as
// "[redacted]", also as a field of a larger struct; only [Text.Reveal] gives the value. The zero Text is unset.
type Text struct {
	value *string // a pointer, because fmt prints the unexported fields of a containing struct without asking them
}

// New returns value as a Text. An empty value gives the unset Text.
func New(value string) Text {
	if value == "" {
		return Text{}
	}
	return Text{value: &value}
}

// Reveal returns the value itself, "" when unset. Every call of it is a place where the secret can leak.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// Bytes returns a copy of the value.
func (t Text) Bytes() []byte { return []byte(t.Reveal()) }

// IsSet reports whether there is a value.
func (t Text) IsSet() bool { return t.value != nil }

// Len returns the length of the value in bytes.
func (t Text) Len() int { return len(t.Reveal()) }

// String returns "[redacted]", or "" when unset.
func (t Text) String() string {
	if !t.IsSet() {
		return ""
	}
	return redacted
}

// Format writes what [Text.String] returns, whatever the verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue implements [slog.LogValuer].
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON implements [json.Marshaler].
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// MarshalText implements [encoding.TextMarshaler].
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
