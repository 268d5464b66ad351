package token

import (
	"context"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
)

// ErrKeyExists means that a key was stored meanwhile.
var ErrKeyExists = errors.New("signing key exists")

// StoredKey is a signing key as it is kept. Its state follows from its times; see [KeyState].
type StoredKey struct {
	ID          string
	Use         Use
	Sealed      []byte    // the private key, PEM under seal
	PublishedAt time.Time // from when it is in the JWKS
	SignsFrom   time.Time // from when it signs, until a later key does
	Configured  bool      // it is not in the store but in the configuration
}

// Store keeps signing keys. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond. They write
// the audit entry in their transaction.
type Store interface {
	// SigningKeys lists the keys of a use, by SignsFrom.
	SigningKeys(ctx context.Context, use Use) ([]StoredKey, error)
	// AddSigningKey keeps a key, if the use has the keys that seen names and no other; else it returns ErrKeyExists.
	AddSigningKey(ctx context.Context, k StoredKey, seen []string, added audit.Entry) error
	// RemoveSigningKey forgets a key. An unknown id does nothing.
	RemoveSigningKey(ctx context.Context, use Use, id string, removed audit.Entry) error
}
