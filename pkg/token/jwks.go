package token

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// JWKS returns the set of keys that access tokens verify under (RFC 7517).
func (a *AccessIssuer) JWKS() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
		Key: &a.key.PublicKey, KeyID: a.keyID, Algorithm: jwt.SigningMethodES256.Alg(), Use: "sig",
	}}}
}

// thumbprint returns the key's id: the base64url SHA-256 of its members (RFC 7638).
func thumbprint(key *ecdsa.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint of the access token key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
