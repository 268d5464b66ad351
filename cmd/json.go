package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// writeJSON writes v as JSON and a line's end, at once. What would act on a terminal is escaped: encoding/json leaves the control
// characters from U+007F on as they are, and those that turn the direction of text.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", indent)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	var safe bytes.Buffer
	for _, r := range b.String() {
		if r != '\n' && actsOnTerminal(r) {
			_, _ = fmt.Fprintf(&safe, `\u%04x`, r)
			continue
		}
		safe.WriteRune(r)
	}
	_, err := w.Write(safe.Bytes())
	return err
}
