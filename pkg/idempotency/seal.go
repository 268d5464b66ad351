package idempotency

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

// MinSealKeyLen is the least length of a seal key, in bytes.
const MinSealKeyLen = 32

// Sealer encrypts answers under AES-256-GCM, each under a key of its own that HKDF-SHA256 (RFC 5869) derives from the
// seal key, the account and the intent. Whoever has the database alone reads none of them.
type Sealer struct {
	key secret.Text
}

// NewSealer returns a Sealer under key, any text of at least MinSealKeyLen bytes.
func NewSealer(key secret.Text) (*Sealer, error) {
	if key.Len() < MinSealKeyLen {
		return nil, fmt.Errorf("the seal key has fewer than %d bytes", MinSealKeyLen)
	}
	return &Sealer{key: key}, nil
}

// ErrSealBroken means that an answer was sealed under another key, for another intent, or was changed.
var ErrSealBroken = errors.New("sealed answer cannot be opened")

// Seal returns answer as nonce and ciphertext.
func (s *Sealer) Seal(in Intent, answer []byte) ([]byte, error) {
	aead, err := s.aead(in)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(answer)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails: crypto/rand.Read ends the program instead
	return aead.Seal(nonce, nonce, answer, nil), nil
}

// Open returns the answer that Seal got, or ErrSealBroken.
func (s *Sealer) Open(in Intent, sealed []byte) ([]byte, error) {
	aead, err := s.aead(in)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, ErrSealBroken
	}
	answer, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, ErrSealBroken
	}
	return answer, nil
}

func (s *Sealer) aead(in Intent) (cipher.AEAD, error) {
	info := Hash("provisioner sealed answer", in.Account, string(in.Key[:]))
	key, err := hkdf.Key(sha256.New, s.key.Bytes(), nil, string(info[:]), 32)
	if err != nil {
		return nil, fmt.Errorf("derive seal key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive seal key: %w", err)
	}
	return cipher.NewGCM(block)
}
