// Package seal encrypts what is kept but must not be read in the database alone: answers for retries, private keys.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/provisioner/provisioner/pkg/secret"
)

// MinKeyLen is the least length of a seal key, in bytes.
const MinKeyLen = 32

// Sealer encrypts under AES-256-GCM, each thing under a key of its own that HKDF-SHA256 (RFC 5869) derives from the seal key
// and a text that says what it is.
type Sealer struct {
	key secret.Text
}

// New returns a Sealer under key, any text of at least MinKeyLen bytes.
func New(key secret.Text) (*Sealer, error) {
	if key.Len() < MinKeyLen {
		return nil, fmt.Errorf("the seal key has fewer than %d bytes", MinKeyLen)
	}
	return &Sealer{key: key}, nil
}

// ErrBroken means that something was sealed under another key, as something else, or was changed.
var ErrBroken = errors.New("the seal is broken")

// Seal returns plain as nonce and ciphertext.
func (s *Sealer) Seal(plain []byte, what string) ([]byte, error) {
	aead, err := s.aead(what)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails: crypto/rand.Read ends the program instead
	return aead.Seal(nonce, nonce, plain, nil), nil
}

// Open returns what Seal got, or ErrBroken.
func (s *Sealer) Open(sealed []byte, what string) ([]byte, error) {
	aead, err := s.aead(what)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, ErrBroken
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}

func (s *Sealer) aead(what string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.key.Bytes(), nil, what, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive seal key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive seal key: %w", err)
	}
	return cipher.NewGCM(block)
}
