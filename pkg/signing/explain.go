package signing

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Finding is one part of a captured request as [Verifier.Explain] sees it.
type Finding struct {
	Part   string `json:"part"` // "timestamp", "key id", "signature" or "body"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // for people; shows neither secrets nor valid signatures
}

// Explain tells which parts of a captured request do not fit, one finding a part, for an operator who holds the keys.
// Beside what [Verifier.Verify] checks it tries the usual mistakes: another key of the ring, a clock in seconds, an
// upper-case signature, a body that a proxy or an editor changed.
func (v *Verifier) Explain(h Headers, body []byte) []Finding {
	ring := v.keys.ring.Load()
	key, known := ring.find(h.KeyID)
	return []Finding{
		v.explainTimestamp(h.Timestamp),
		ring.explainKeyID(h.KeyID, known),
		ring.explainSignature(h, body, key, known),
	}
}

func (v *Verifier) explainTimestamp(s string) Finding {
	milliseconds, ok := parseTimestamp(s)
	if !ok {
		return Finding{"timestamp", false, "not decimal milliseconds without sign, spaces or leading zeros"}
	}

	age := v.now().Sub(time.UnixMilli(milliseconds)).Round(time.Millisecond)
	switch {
	case v.inWindow(milliseconds):
		return Finding{"timestamp", true, fmt.Sprintf("signed %s ago, inside the window of %s", age, v.window)}
	case v.inWindow(milliseconds * 1000):
		return Finding{"timestamp", false, "this looks like seconds; the scheme wants milliseconds"}
	case age < 0:
		return Finding{"timestamp", false, fmt.Sprintf("%s in the future, the window is %s: check both clocks", -age, v.window)}
	}
	return Finding{"timestamp", false, fmt.Sprintf("signed %s ago, the window is %s: check both clocks, or the capture is old", age, v.window)}
}

func (r *ring) explainKeyID(id string, known bool) Finding {
	switch {
	case r.single != nil && id != "":
		return Finding{"key id", true, "ignored: the receiver is in the single-key form"}
	case r.single != nil:
		return Finding{"key id", true, "none, as the single-key form wants it"}
	case id == "":
		return Finding{"key id", false, "missing; the ring has " + r.ids()}
	case !known:
		return Finding{"key id", false, fmt.Sprintf("%q is not in the ring, which has %s", id, r.ids())}
	}
	return Finding{"key id", true, fmt.Sprintf("%q is in the ring", id)}
}

func (r *ring) explainSignature(h Headers, body []byte, key *mac, known bool) Finding {
	var signature [sha256.Size]byte
	if !decodeSignature(&signature, h.Signature) {
		detail := fmt.Sprintf("not 64 lowercase hex characters (it has %d characters)", len(h.Signature))
		if decodeSignature(&signature, strings.ToLower(strings.TrimSpace(h.Signature))) {
			detail = "hex, but upper-case or with spaces around it; send it in lower case"
		}
		return Finding{"signature", false, detail}
	}
	if known && key.matches(h.Timestamp, body, &signature) {
		return Finding{"signature", true, "matches timestamp and body"}
	}

	for _, candidate := range r.all() {
		for _, change := range bodyChanges {
			if candidate.matches(h.Timestamp, change.undo(body), &signature) {
				return mismatch(candidate, candidate == key && known, change.name)
			}
		}
	}
	return Finding{"signature", false, "matches no key of the ring: another secret, another timestamp header, or a changed body"}
}

// mismatch names what would make the signature right: another key, another body, or both.
func mismatch(made *mac, rightKey bool, change string) Finding {
	var causes []string
	if !rightKey {
		causes = append(causes, fmt.Sprintf("it was made with the key %q", made.id))
	}
	if change != "" {
		return Finding{"body", false, strings.Join(append(causes, "the body changed on the way: "+change), "; ")}
	}
	return Finding{"signature", false, strings.Join(causes, "; ")}
}

// bodyChanges are the usual changes between the bytes that were signed and those captured; undo gives the signed ones.
var bodyChanges = []struct {
	name string
	undo func([]byte) []byte
}{
	{"", func(b []byte) []byte { return b }},
	{"a newline was added at its end", func(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }},
	{"the newline at its end was removed", func(b []byte) []byte { return append(slices.Clone(b), '\n') }},
	{"its line ends were changed to CRLF", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }},
	{"a byte order mark was put before it", func(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }},
	{"the signature was made over an empty body", func([]byte) []byte { return nil }},
}

func (r *ring) all() []*mac {
	if r.single != nil {
		return []*mac{r.single}
	}
	out := make([]*mac, 0, len(r.keys))
	for _, id := range r.sortedIDs() {
		out = append(out, r.keys[id])
	}
	return out
}

func (r *ring) ids() string { return fmt.Sprintf("%q", r.sortedIDs()) }

func (r *ring) sortedIDs() []string {
	ids := make([]string, 0, len(r.keys))
	for id := range r.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
