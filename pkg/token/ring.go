package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Errors of a Ring.
var (
	ErrNoKey      = errors.New("no signing key")
	ErrUnknownKey = errors.New("no such signing key")
)

// Ring is the keys of one use: one that signs, and all that verify. It is safe for concurrent use.
type Ring interface {
	// Signing returns the key that signs now.
	Signing(ctx context.Context) (Key, error)
	// ByID returns the key of id, ErrUnknownKey unless it is published.
	ByID(ctx context.Context, id string) (Key, error)
	// Published returns the keys that tokens verify under now, the signing key among them.
	Published(ctx context.Context) ([]Key, error)
}

// JWKS returns the set of keys that tokens of a use verify under (RFC 7517).
func JWKS(ctx context.Context, r Ring, u Use) (jose.JSONWebKeySet, error) {
	keys, err := r.Published(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, fmt.Errorf("%s keys: %w", u, err)
	}
	set := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, len(keys))}
	for i, k := range keys {
		set.Keys[i] = k.jwk(u)
	}
	return set, nil
}
