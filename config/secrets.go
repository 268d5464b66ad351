package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// ErrNoSecret is returned for a secret that is not there.
var ErrNoSecret = errors.New("no such secret")

// ErrSecretName is returned for a name that is not letters, digits and _, beginning with no digit.
var ErrSecretName = errors.New("the name of a secret is letters, digits and _, and begins with no digit")

var errEmptySecret = errors.New("a secret cannot be empty; delete it instead")

// SecretTarget is where the secret commands keep secrets: a .dev.vars file or a directory. Files are written whole or
// not at all, with mode 0600. Two processes that write at the same time can undo each other's change.
type SecretTarget struct {
	files interface {
		names() ([]string, error)
		apply(changes map[string]*string) error
	}
}

// DevVarsTarget keeps secrets in the file at path, with its comments and other variables left as they are. An existing
// file's line ends become \n.
func DevVarsTarget(path string) SecretTarget { return SecretTarget{devVarsFile(path)} }

// SecretDirTarget keeps each secret in a file of its name in the directory at path, which is made with mode 0700.
func SecretDirTarget(path string) SecretTarget { return SecretTarget{secretDir(path)} }

// Put sets one secret. It returns [ErrSecretName] for a bad name, and an error for an empty value or one that .dev.vars
// cannot hold, as its format has no escape for quotes: all three kinds of them together with a # for instance.
func (t SecretTarget) Put(name, value string) error {
	return t.Bulk(map[string]*string{name: &value})
}

// List returns the names of the secrets, sorted.
func (t SecretTarget) List() ([]string, error) { return t.files.names() }

// Delete removes one secret. It returns [ErrNoSecret] when there is none of that name.
func (t SecretTarget) Delete(name string) error {
	names, err := t.files.names()
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("%s: %w", name, ErrNoSecret)
	}
	return t.Bulk(map[string]*string{name: nil})
}

// Bulk sets the secrets of changes and deletes those that are nil, missing ones too. Nothing is written if a name or a
// value is bad; in a directory, a failure of the disk can leave some of the changes made.
func (t SecretTarget) Bulk(changes map[string]*string) error {
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if !secretName.MatchString(name) {
			return ErrSecretName // without the name: it may be a secret in the wrong place
		}
		if value := changes[name]; value != nil && *value == "" {
			return fmt.Errorf("%s: %w", name, errEmptySecret)
		}
	}
	return t.files.apply(changes)
}

var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseBulk reads the changes for [SecretTarget.Bulk] from a JSON object of strings and nulls, or from dotenv text.
func ParseBulk(data []byte) (map[string]*string, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		var changes map[string]*string
		if err := json.Unmarshal(trimmed, &changes); err != nil {
			return nil, errors.New("the input is not a JSON object of strings and nulls")
		}
		return changes, nil
	}
	values, err := parseDotenv(data)
	if err != nil {
		return nil, fmt.Errorf("the input is neither JSON nor dotenv: %w", err)
	}
	changes := make(map[string]*string, len(values))
	for name, value := range values {
		changes[name] = &value
	}
	return changes, nil
}

type devVarsFile string

func (f devVarsFile) read() ([]byte, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (f devVarsFile) names() ([]string, error) {
	data, err := f.read()
	if err != nil {
		return nil, err
	}
	values, err := parseDotenv(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(string(f)), err)
	}
	return slices.Sorted(maps.Keys(values)), nil
}

func (f devVarsFile) apply(changes map[string]*string) error {
	data, err := f.read()
	if err != nil {
		return err
	}
	src := newlines(data)
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if value := changes[name]; value == nil {
			src, err = unsetDotenv(src, name)
		} else {
			src, err = setDotenv(src, name, *value)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(string(f)), err)
		}
	}
	return writeFile(string(f), []byte(src))
}

type secretDir string

func (d secretDir) names() ([]string, error) {
	names, err := secretNames(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

func (d secretDir) apply(changes map[string]*string) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		path := filepath.Join(string(d), name)
		value := changes[name]
		if value == nil {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		// the newline is the one that reading takes off: the value may end with one of its own
		if err := writeFile(path, []byte(*value+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// writeFile puts data at path by renaming a finished file of mode 0600, whose name begins with a dot.
func writeFile(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".provisioner-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already when all went well
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
