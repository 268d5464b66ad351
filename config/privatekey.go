package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/provisioner/provisioner/pkg/secret"
)

// parsePrivateKey accepts the PEM of a P-256 private key, PKCS #8 or SEC 1, and returns the PEM.
func parsePrivateKey(text string) (secret.Text, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return secret.Text{}, errors.New("is not PEM")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return secret.Text{}, errors.New("holds no private key of PKCS #8 or SEC 1")
		}
		key, _ = parsed.(*ecdsa.PrivateKey)
	}
	if key == nil || key.Curve != elliptic.P256() {
		return secret.Text{}, errors.New("is not a key of the curve P-256, which ES256 needs")
	}
	return secret.New(text), nil
}
