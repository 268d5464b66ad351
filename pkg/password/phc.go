package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are the costs of argon2id (RFC 9106).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// OWASP are the least costs that OWASP recommends for argon2id.
var OWASP = Params{Memory: 19456, Time: 2, Threads: 1}

const (
	saltLen = 16
	keyLen  = 32

	// Hashes come from the database, which may be an adopted one: costs and lengths beyond these are refused, not computed.
	maxMemory  = 1 << 20 // KiB
	maxTime    = 16
	maxThreads = 16
	maxPHCLen  = 512
)

var errMalformed = errors.New("malformed password hash")

// argon2Hash is a parsed PHC string.
type argon2Hash struct {
	Params
	salt, key []byte
}

func (h argon2Hash) compute(password []byte) []byte {
	return argon2.IDKey(password, h.salt, h.Time, h.Memory, h.Threads, uint32(len(h.key))) //nolint:gosec // at most maxPHCLen
}

// String returns $argon2id$v=19$m=…,t=…,p=…$salt$key, in unpadded base64.
func (h argon2Hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.Memory, h.Time, h.Threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

func parsePHC(s string) (argon2Hash, error) {
	parts := strings.Split(s, "$")
	if len(s) > maxPHCLen || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return argon2Hash{}, errMalformed
	}

	var h argon2Hash
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.Memory, &h.Time, &h.Threads); n != 3 || err != nil {
		return argon2Hash{}, errMalformed
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(h.salt) < 8 || len(h.key) < 16 || h.outOfBounds() || h.String() != s {
		return argon2Hash{}, errMalformed
	}
	return h, nil
}

func (p Params) outOfBounds() bool {
	return p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory || p.Time < 1 || p.Time > maxTime ||
		p.Threads < 1 || p.Threads > maxThreads
}
