package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	secretLen = 32 // random bytes of a token
	prefixLen = 8  // characters of a token that are safe to show
)

// newToken returns prefix + 64 lowercase hex characters.
func newToken(prefix string) secret.Text {
	var random [secretLen]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand.Read ends the program instead
	return secret.New(prefix + hex.EncodeToString(random[:]))
}

// wellFormed reports whether token has the shape that newToken gives. It allocates nothing: floods of garbage end here.
func wellFormed(prefix, token string) bool {
	if len(token) != len(prefix)+2*secretLen || token[:len(prefix)] != prefix {
		return false
	}
	for i := len(prefix); i < len(token); i++ {
		if c := token[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func hashOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }
