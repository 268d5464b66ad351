package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/token"
)

var (
	noon    = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	errDown = errors.New("no answer")
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// ring is a Ring of which the first key signs.
type ring struct {
	keys []token.Key
	err  error
}

func (r ring) Signing(context.Context) (token.Key, error) {
	if r.err != nil {
		return token.Key{}, r.err
	}
	return r.keys[0], nil
}

func (r ring) ByID(_ context.Context, id string) (token.Key, error) {
	if r.err != nil {
		return token.Key{}, r.err
	}
	for _, k := range r.keys {
		if k.ID == id {
			return k, nil
		}
	}
	return token.Key{}, token.ErrUnknownKey
}

func (r ring) Published(context.Context) ([]token.Key, error) { return r.keys, r.err }

// store is a Store in memory.
type store struct {
	mu      sync.Mutex
	keys    []token.StoredKey
	entries []audit.Entry
	err     error
	hang    chan struct{} // when set, listing takes until it is closed
}

func (s *store) SigningKeys(_ context.Context, use token.Use) ([]token.StoredKey, error) {
	if s.hang != nil {
		<-s.hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := slices.DeleteFunc(slices.Clone(s.keys), func(k token.StoredKey) bool { return k.Use != use })
	slices.SortFunc(keys, func(a, b token.StoredKey) int { return a.SignsFrom.Compare(b.SignsFrom) })
	return keys, s.err
}

func (s *store) AddSigningKey(_ context.Context, k token.StoredKey, seen []string, added audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var have []string
	for _, kept := range s.keys {
		if kept.Use == k.Use {
			have = append(have, kept.ID)
		}
	}
	slices.Sort(have)
	switch {
	case s.err != nil:
		return s.err
	case !slices.Equal(have, slices.Sorted(slices.Values(seen))):
		return token.ErrKeyExists
	}
	s.keys, s.entries = append(s.keys, k), append(s.entries, added)
	return nil
}

func (s *store) RemoveSigningKey(_ context.Context, use token.Use, id string, removed audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.DeleteFunc(s.keys, func(k token.StoredKey) bool { return k.Use == use && k.ID == id })
	s.entries = append(s.entries, removed)
	return s.err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func mustRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsaKey()
	must(t, err)
	return key
}

func mustEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return key
}

// mustKey returns key as one for use.
func mustKey(t testing.TB, use token.Use, id string, key crypto.Signer) token.Key {
	t.Helper()
	k, err := token.ParseKey(use, id, secret.New(mustPKCS8(t, key)))
	must(t, err)
	return k
}

func mustPKCS8(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return inPEM("PRIVATE KEY", der)
}

func mustPKIX(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	return inPEM("PUBLIC KEY", der)
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// part returns part n of a JWT as a JSON object.
func part(t *testing.T, raw string, n int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[n])
	must(t, err)
	var members map[string]any
	must(t, json.Unmarshal(text, &members))
	return members
}
