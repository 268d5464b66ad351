// Package keyfile keeps the secrets that a service makes for itself, one file each. It knows nothing of what they are for.
package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// LoadOrCreate returns the secret in dir/name. If there is none it makes one with generate and keeps it there, mode 0600;
// of several processes that do so at once all get the same one. It returns an error for an empty file, and for one that
// others than its owner may read.
func LoadOrCreate(dir, name string, generate func() (secret.Text, error)) (secret.Text, error) {
	path := filepath.Join(dir, name)
	key, err := load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}

	fresh, err := generate()
	if err != nil {
		return secret.Text{}, err
	}
	if err := create(dir, path, fresh); err != nil {
		return secret.Text{}, fmt.Errorf("keep %s: %w", path, err)
	}
	return load(path)
}

func load(path string) (secret.Text, error) {
	info, err := os.Stat(path)
	if err != nil {
		return secret.Text{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return secret.Text{}, fmt.Errorf("%s is readable by others: chmod 600 it, and consider its secret known", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own data directory
	if err != nil {
		return secret.Text{}, err
	}
	text = bytes.TrimSuffix(text, []byte("\n")) // of an editor that restored it
	if len(text) == 0 {
		return secret.Text{}, fmt.Errorf("%s is empty: restore it, or delete it to make a new secret", path)
	}
	return secret.New(string(text)), nil
}

// create writes the file under another name and links it into place, whole and durable, unless there is one meanwhile.
func create(dir, path string, key secret.Text) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()

	_, err = temp.WriteString(key.Reveal())
	err = errors.Join(err, temp.Chmod(fileMode), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own data directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
