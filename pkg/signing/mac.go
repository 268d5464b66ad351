package signing

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"sync"
)

// mac computes signatures under one key. It is safe for concurrent use; the key's schedule is computed once for each
// pooled state, not once a request.
type mac struct {
	id   string
	pool sync.Pool // of *state
}

type state struct {
	hash hash.Hash
	text [24]byte          // the timestamp and the dot: a buffer of its own would be allocated for each request
	sum  [sha256.Size]byte // the signature
	hex  [2 * sha256.Size]byte
}

func newMAC(key Key) *mac {
	secret := append([]byte(nil), key.Secret...)
	m := &mac{id: key.ID}
	m.pool.New = func() any { return &state{hash: hmac.New(sha256.New, secret)} }
	return m
}

func newDecoy() *mac {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails: crypto/rand.Read ends the program instead
	return newMAC(Key{Secret: secret})
}

// compute leaves the signature of timestamp and body in the returned state, which the caller gives back to the pool.
func (m *mac) compute(timestamp string, body []byte) *state {
	s, _ := m.pool.Get().(*state)
	s.hash.Reset()
	s.hash.Write(append(append(s.text[:0], timestamp...), '.'))
	s.hash.Write(body)
	s.hash.Sum(s.sum[:0])
	return s
}

func (m *mac) sign(milliseconds int64, body []byte) Headers {
	timestamp := strconv.FormatInt(milliseconds, 10)
	s := m.compute(timestamp, body)
	defer m.pool.Put(s)
	hex.Encode(s.hex[:], s.sum[:])
	return Headers{Timestamp: timestamp, Signature: string(s.hex[:]), KeyID: m.id}
}

func (m *mac) matches(timestamp string, body []byte, signature *[sha256.Size]byte) bool {
	s := m.compute(timestamp, body)
	defer m.pool.Put(s)
	return hmac.Equal(s.sum[:], signature[:])
}
