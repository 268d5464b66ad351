// Package vectors holds what a client of these services has to do, as JSON that any language reads: see README.md. The types are the
// shapes of the files. It does not do what the vectors say; the tests do, with the Go clients and with plain ones in Node.
package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/provisioner/provisioner/test/npm"
)

// Named is what every vector has.
type Named struct {
	Name string // unique in its file
	Kind string // of a closed set: which of the file's shapes it has
}

// ID returns the name and the kind of a vector.
func (n Named) ID() Named { return n }

// Signing is a vector of signing.json. Kind "sign" is Secret, KeyID, Now and a body to Headers; kind "verify" is Keys or Secret,
// WindowMs, Now, headers and a body to Code.
type Signing struct {
	Named
	Secret   string
	KeyID    string
	Keys     map[string]string // secrets by id
	WindowMs int64
	Now      int64 // milliseconds since 1970
	Headers  json.RawMessage
	Body     string
	BodyHex  string // in place of Body where that is not UTF-8
	Code     string // of the refusal, "" for none
}

// Bytes returns the body.
func (s Signing) Bytes() []byte {
	if raw, err := hex.DecodeString(s.BodyHex); err == nil && s.BodyHex != "" {
		return raw
	}
	return []byte(s.Body)
}

// Signed returns the headers of kind "sign", by lower-case name.
func (s Signing) Signed(t testing.TB) map[string]string {
	t.Helper()
	return decode[map[string]string](t, s.Headers)
}

// Received returns the headers of kind "verify", pairs of a name and a value.
func (s Signing) Received(t testing.TB) [][2]string {
	t.Helper()
	return decode[[][2]string](t, s.Headers)
}

// Call is a vector of retries.json: kind "send" for POST /send, "health" for a health check of URL.
type Call struct {
	Named
	URL     string
	Answers []Answer
	Want    Outcome
	Shipped json.RawMessage // an Outcome where the shipped class does something else, null where nothing is said of it
}

// Answer is what a request gets: a status with headers and body, or a failure.
type Answer struct {
	Failure string // connectionTimeout, receiveTimeout, connectionError, connectionLost, badCertificate; "" for an answer
	Status  int
	Headers map[string]string
	Body    string
}

// Outcome is what a call comes to.
type Outcome struct {
	Requests int
	DelaysMs []int64
	Success  map[string]any // nil for an error
	Error    string         // the message
	Code     string
	Tracked  int // calls of error tracking
}

// Timestamp is a vector of timestamps.json, of kind "timestamp".
type Timestamp struct {
	Named
	EpochMicroseconds int64
	Text              string
}

// Session is a vector of tokens.json, of kind "session".
type Session struct {
	Named
	Stored *string // the refresh token that is stored at first
	Steps  []Step
}

// Step is a call, or several at the same moment, and where it leaves the client.
type Step struct {
	Call      string
	Times     int // 0 is once
	Exchanges []Exchange
	Ends      string // "ok", "refused", "unreachable" or "signed-out"
	Stored    *string
	Status    string
}

// Exchange is a request that has to be made, and its answer or failure.
type Exchange struct {
	Request      string // "POST /v1/auth/refresh"
	Bearer       string // the access token that it has to present
	RefreshToken string // what it has to have in its body
	Failure      string
	Status       int
	Tokens       int    // N answers with access-N and refresh-N
	User         string // whose tokens they are, "u1" by default
	Code         string // of an error body
	Body         string // in place of all of these
}

// Load returns the vectors of a file. A member that the type does not have, or a name that is there twice, fails t: nothing in these
// files goes unread.
func Load[V interface{ ID() Named }](t testing.TB, file string) []V {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(npm.Dir(t, "vectors"), file))
	if err != nil {
		t.Fatal(err)
	}
	vs, seen := decode[[]V](t, text), map[string]bool{}
	for _, v := range vs {
		if name := v.ID().Name; name == "" || seen[name] {
			t.Fatalf("%s: %q is no name for one vector", file, name)
		}
		seen[v.ID().Name] = true
	}
	if len(vs) == 0 {
		t.Fatalf("%s has no vectors", file)
	}
	return vs
}

func decode[V any](t testing.TB, text []byte) V {
	t.Helper()
	var v V
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&v); err != nil {
		t.Fatal("vectors:", err)
	}
	return v
}
