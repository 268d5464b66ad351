package signing

import (
	"errors"
	"net/http"
)

// Names of the signature headers.
const (
	HeaderTimestamp = "X-Timestamp"
	HeaderSignature = "X-Signature"
	HeaderKeyID     = "X-Key-Id"
)

// Headers are the values of the signature headers, as the strings that travel: they are signed and compared as they
// are, never parsed and written anew.
type Headers struct {
	Timestamp string // decimal milliseconds since the Unix epoch, without leading zeros
	Signature string // 64 lowercase hex characters
	KeyID     string // id of the signing key; "" in the single-key form
}

// ErrMissingHeaders means that the timestamp or the signature does not stand exactly once in the request.
var ErrMissingHeaders = errors.New("timestamp or signature header missing or repeated")

// FromHTTP reads the signature headers of a request. It returns ErrMissingHeaders unless timestamp and signature are
// there once each. A repeated key id names no key.
func FromHTTP(h http.Header) (Headers, error) {
	timestamp, signature, keyID := h[HeaderTimestamp], h[HeaderSignature], h[HeaderKeyID]
	if len(timestamp) != 1 || len(signature) != 1 || timestamp[0] == "" || signature[0] == "" {
		return Headers{}, ErrMissingHeaders
	}

	out := Headers{Timestamp: timestamp[0], Signature: signature[0]}
	if len(keyID) == 1 {
		out.KeyID = keyID[0]
	}
	return out, nil
}

// Apply sets the signature headers on a request.
func (s Headers) Apply(h http.Header) {
	h[HeaderTimestamp] = []string{s.Timestamp}
	h[HeaderSignature] = []string{s.Signature}
	if s.KeyID != "" {
		h[HeaderKeyID] = []string{s.KeyID}
	}
}
