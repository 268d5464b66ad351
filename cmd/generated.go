package cmd

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/keyfile"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/signing"
)

const (
	// generatedKeyID is the id of the signing key that "serve all" makes.
	generatedKeyID   = "generated"
	signingKeyFile   = "signing-key"
	generatedKeySize = 32
)

// generated returns a configured secret, or where none is configured the one that is kept in the data directory under name,
// making it at the first start. With Postgres config has refused a missing secret: replicas would not share it.
func (s *services) generated(configured secret.Text, name string, generate func() (secret.Text, error)) (secret.Text, error) {
	if configured.IsSet() {
		return configured, nil
	}
	return keyfile.LoadOrCreate(s.cfg.DataDir, name, generate)
}

// signingKeys returns the configured keyring, or for "serve all" without one a ring of one generated key.
func (s *services) signingKeys() (*signing.Keyring, error) {
	if s.cfg.Keyring.IsSet() || s.cfg.Service != config.All {
		return newSigningKeys(s.cfg.Keyring)
	}
	key, err := s.generated(secret.Text{}, signingKeyFile, randomSecret)
	if err != nil {
		return nil, err
	}
	return signing.NewKeyring([]signing.Key{{ID: generatedKeyID, Secret: key.Bytes()}}, generatedKeyID)
}

// newSigningKeys makes a keyring of configured keys.
func newSigningKeys(k config.Keyring) (*signing.Keyring, error) {
	if k.Single() {
		return signing.NewSingleKey(k.Shared.Bytes())
	}
	return signing.NewKeyring(keyList(k), k.ActiveID)
}

func keyList(k config.Keyring) []signing.Key {
	keys := make([]signing.Key, 0, len(k.Keys))
	for id, s := range k.Keys {
		keys = append(keys, signing.Key{ID: id, Secret: s.Bytes()})
	}
	return keys
}

// reloadSigningKeys puts configured keys in place of a ring's. The ring stays as it is when they are wrong, or when there are
// none and "serve all" goes on with its own.
func reloadSigningKeys(ring *signing.Keyring, k config.Keyring) error {
	switch {
	case k.Single():
		return ring.ReplaceSingle(k.Shared.Bytes())
	case k.IsSet():
		return ring.Replace(keyList(k), k.ActiveID)
	}
	return nil
}

// randomSecret returns 256 random bits as 64 hex characters.
func randomSecret() (secret.Text, error) {
	var random [generatedKeySize]byte
	if _, err := rand.Read(random[:]); err != nil {
		return secret.Text{}, fmt.Errorf("make a secret: %w", err)
	}
	return secret.New(hex.EncodeToString(random[:])), nil
}
