package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/secret"
)

// Use is what a signing key signs.
type Use string

// The uses. Keys of one are worth nothing for the other.
const (
	Access    Use = "access"    // ES256 access tokens
	PowerSync Use = "powersync" // RS256 PowerSync tokens
)

const (
	rsaBits    = 2048
	minRSABits = 2048
	maxRSABits = 8192
)

// method returns the algorithm of a use: tokens of any other are refused.
func (u Use) method() jwt.SigningMethod {
	if u == PowerSync {
		return jwt.SigningMethodRS256
	}
	return jwt.SigningMethodES256
}

// Key is a key that signs tokens, or one without its private half that only verifies them.
type Key struct {
	ID      string
	Private crypto.Signer // nil for a key that does not sign
	Public  crypto.PublicKey
}

// jwk returns the public half as it is published (RFC 7517).
func (k Key) jwk(u Use) jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: u.method().Alg(), Use: "sig"}
}

// NewKey makes a key for a use and returns it as PEM, in PKCS #8.
func NewKey(u Use) (secret.Text, error) {
	var key any
	var err error
	if u == PowerSync {
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("make %s key: %w", u, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode %s key: %w", u, err)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), nil
}

// ParseKey reads a private key for a use in PEM: PKCS #8, SEC 1 or PKCS #1. An empty id becomes the key's thumbprint.
func ParseKey(u Use, id string, text secret.Text) (Key, error) {
	var signer crypto.Signer
	var err error
	if u == PowerSync {
		signer, err = jwt.ParseRSAPrivateKeyFromPEM(text.Bytes())
	} else {
		signer, err = jwt.ParseECPrivateKeyFromPEM(text.Bytes())
	}
	if err != nil {
		return Key{}, fmt.Errorf("not a private key for %s in PEM", u.method().Alg()) // the cause could quote the text
	}
	return newKey(id, signer, signer.Public())
}

// ParsePublicKey reads a public key for a use in PEM.
func ParsePublicKey(u Use, id, text string) (Key, error) {
	var public crypto.PublicKey
	var err error
	if u == PowerSync {
		public, err = jwt.ParseRSAPublicKeyFromPEM([]byte(text))
	} else {
		public, err = jwt.ParseECPublicKeyFromPEM([]byte(text))
	}
	if err != nil {
		return Key{}, fmt.Errorf("not a public key for %s in PEM", u.method().Alg())
	}
	return newKey(id, nil, public)
}

func newKey(id string, private crypto.Signer, public crypto.PublicKey) (Key, error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return Key{}, errors.New("the key is not on the curve P-256")
		}
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return Key{}, fmt.Errorf("the RSA key has %d bits, not %d to %d", bits, minRSABits, maxRSABits)
		}
	}
	if id == "" {
		sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
		if err != nil {
			return Key{}, fmt.Errorf("thumbprint of key: %w", err)
		}
		id = base64.RawURLEncoding.EncodeToString(sum) // RFC 7638
	}
	return Key{ID: id, Private: private, Public: public}, nil
}
