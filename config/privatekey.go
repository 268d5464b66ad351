package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/token"
)

// keyFile is a setting whose value may stand in a file that another setting names.
type keyFile struct {
	name string // of the setting; that of the file ends with fileSuffix
	path func(*Config) *string
}

const fileSuffix = "_FILE"

var keyFiles = []keyFile{
	{"ACCESS_JWT_PRIVATE_KEY", func(c *Config) *string { return &c.Tokens.AccessKeyFile }},
	{"POWERSYNC_JWT_PRIVATE_KEY", func(c *Config) *string { return &c.PowerSync.KeyFile }},
	{"POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY", func(c *Config) *string { return &c.PowerSync.PreviousKeyFile }},
}

// readKeyFiles sets the settings that stand in files.
func (l *loader) readKeyFiles() {
	for _, file := range keyFiles {
		if path := *file.path(l.config); path != "" {
			l.readKeyFile(file.name, path)
		}
	}
}

func (l *loader) readKeyFile(name, path string) {
	row, _ := find(name)
	file, _ := find(name + fileSuffix)
	if l.given(name) {
		l.fault(Fault{file.name, "is set beside " + name, "set one of them"})
		return
	}
	data, err := readFile(path)
	if err == nil {
		if err = row.set(l.config, string(data)); err != nil {
			err = errors.New("names a file that " + err.Error())
		}
	}
	if err != nil {
		l.fault(Fault{file.name, err.Error() + " (" + l.source(file.name) + ")", file.remedy()})
	}
}

// parseRSAKey accepts the PEM of an RSA private key that RS256 may use, and returns the PEM.
func parseRSAKey(text string) (secret.Text, error) {
	pem := secret.New(text)
	if _, err := token.ParseKey(token.PowerSync, "", pem); err != nil {
		return secret.Text{}, errors.New("is no RSA private key in PEM, of 2048 to 8192 bits")
	}
	return pem, nil
}

// parseRSAPublicKey accepts the PEM of an RSA public key that RS256 may use, and returns the PEM.
func parseRSAPublicKey(text string) (string, error) {
	if _, err := token.ParsePublicKey(token.PowerSync, "", text); err != nil {
		return "", errors.New("is no RSA public key in PEM, of 2048 to 8192 bits")
	}
	return text, nil
}

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
