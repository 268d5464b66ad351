package signing

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Causes of a refused signature. Clients are told only [ErrTimestamp] from the rest; logs and metrics tell all apart.
var (
	ErrTimestamp  = errors.New("timestamp is not canonical or outside the replay window")
	ErrUnknownKey = errors.New("key id missing or unknown")
	ErrMalformed  = errors.New("signature is not 64 lowercase hex characters")
	ErrMismatch   = errors.New("signature does not match")
)

// maxTimestampLen bounds the digits of a timestamp: 16 reach to the year 318857 and cannot overflow.
const maxTimestampLen = 16

// Verified is what a right signature proves.
type Verified struct {
	Signature [sha256.Size]byte // unique to the key, the time and the body: the nonce of the request
	At        time.Time         // when it was signed
}

// Verifier accepts what a keyring's keys signed within the replay window.
type Verifier struct {
	keys   *Keyring
	window time.Duration
	now    func() time.Time
}

// NewVerifier accepts timestamps up to window, inclusive, before and after now.
func NewVerifier(keys *Keyring, window time.Duration, now func() time.Time) *Verifier {
	return &Verifier{keys: keys, window: window, now: now}
}

// Verify checks, in this order, the timestamp (ErrTimestamp), the key id (ErrUnknownKey) and the signature
// (ErrMalformed, ErrMismatch) of body. The last three cost the same.
func (v *Verifier) Verify(h Headers, body []byte) (Verified, error) {
	milliseconds, ok := parseTimestamp(h.Timestamp)
	if !ok {
		return Verified{}, ErrTimestamp
	}
	if !v.inWindow(milliseconds) {
		return Verified{}, fmt.Errorf("%w: the clock that signed is %s", ErrTimestamp, distance(v.off(milliseconds)))
	}

	out := Verified{At: time.UnixMilli(milliseconds)}
	wellFormed := decodeSignature(&out.Signature, h.Signature)
	key, known := v.keys.ring.Load().find(h.KeyID)
	matches := key.matches(h.Timestamp, body, &out.Signature)

	switch {
	case !known:
		return Verified{}, ErrUnknownKey
	case !wellFormed:
		return Verified{}, ErrMalformed
	case !matches:
		return Verified{}, ErrMismatch
	}
	return out, nil
}

// Window returns how far a timestamp may be from now.
func (v *Verifier) Window() time.Duration { return v.window }

func (v *Verifier) inWindow(milliseconds int64) bool {
	return abs(v.off(milliseconds)) <= v.window.Milliseconds()
}

// off returns how far a time lies after now, in milliseconds.
func (v *Verifier) off(milliseconds int64) int64 { return milliseconds - v.now().UnixMilli() }

// distance says which way and how far a clock is off, "10m0s ahead of ours", to the second and to ten years.
func distance(milliseconds int64) string {
	const most = 10 * 365 * 24 * time.Hour
	off := time.Duration(min(abs(milliseconds), most.Milliseconds())) * time.Millisecond
	way := " ahead of ours"
	if milliseconds < 0 {
		way = " behind ours"
	}
	return off.Round(time.Second).String() + way
}

// parseTimestamp accepts canonical decimal digits only: no sign, space, leading zero, exponent or fraction.
func parseTimestamp(s string) (int64, bool) {
	if s == "" || len(s) > maxTimestampLen || (s[0] == '0' && s != "0") {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	milliseconds, err := strconv.ParseInt(s, 10, 64)
	return milliseconds, err == nil
}

// decodeSignature decodes exactly 64 lowercase hex characters; encoding/hex would also take upper case.
func decodeSignature(dst *[sha256.Size]byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		high, low := nibble(s[2*i]), nibble(s[2*i+1])
		if high|low > 0x0f {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

// nibble returns the value of a lowercase hex digit, 0xff for anything else.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
