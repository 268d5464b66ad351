package config

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	minSecretBytes = 32
	maxKeyAge      = 90 * day
)

// Keyring is the HMAC keys of signed requests: either Keys or, in the form without key ids, Shared; neither where
// serve all generates them. Contract: provisioning section 1.
type Keyring struct {
	Keys     map[string]secret.Text // by key id
	ActiveID string                 // the key in Keys to sign with; may be "" on the receiver
	Shared   secret.Text            // set only without Keys
	Made     map[string]time.Time   // when a key was made, by key id; UTC
}

// Single reports whether requests are signed without key id.
func (k Keyring) Single() bool { return k.Shared.IsSet() }

// IsSet reports whether there is any key.
func (k Keyring) IsSet() bool { return k.Single() || len(k.Keys) > 0 }

// headerSafe matches a key id that an HTTP header carries unchanged.
var headerSafe = regexp.MustCompile(`^[!-~]{1,128}$`)

// CheckKeyID returns an error unless a key may have the id.
func CheckKeyID(id string) error {
	if !headerSafe.MatchString(id) {
		return errors.New("is not 1 to 128 printable ASCII characters without spaces")
	}
	return nil
}

var errNotKeys = errors.New(`is not a JSON object {"<id>": "<secret>"}`)

// parseSigningKeys reads a JSON object of strings. Its errors name no id: whoever mixes up ids and secrets would find the
// secret in a log.
func parseSigningKeys(text string) (map[string]secret.Text, error) {
	keys := map[string]secret.Text{}
	err := eachMember(text, func(id string, value any) error {
		s, ok := value.(string)
		switch {
		case !ok:
			return errors.New("has a secret that is not a string")
		case !headerSafe.MatchString(id):
			return errors.New("has a key id that is not 1 to 128 printable ASCII characters without spaces")
		case s == "":
			return errors.New("has an empty secret")
		case keys[id].IsSet():
			return errors.New("has one key id twice")
		}
		keys[id] = secret.New(s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("has no key")
	}
	return keys, nil
}

// eachMember calls visit for every member of the one JSON object that text is, with repeated names, which a decoder into
// a map would merge. Objects and arrays come as nil.
func eachMember(text string, visit func(name string, value any) error) error {
	d := json.NewDecoder(strings.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') || !utf8.ValidString(text) {
		return errNotKeys
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return errNotKeys
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return errNotKeys
		}
		if err := visit(name.(string), value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errNotKeys
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errNotKeys
	}
	return nil
}

// parseDates reads {"<id>": "<RFC 3339 date, with or without time>"}.
func parseDates(text string) (map[string]time.Time, error) {
	var dates map[string]string
	if err := decodeJSON(text, &dates); err != nil {
		return nil, errors.New(`is not a JSON object {"<id>": "<date>"}`)
	}
	made := make(map[string]time.Time, len(dates))
	for id, date := range dates {
		t, err := time.Parse(time.RFC3339, date)
		if err != nil {
			t, err = time.Parse(time.DateOnly, date)
		}
		if err != nil {
			return nil, errors.New("has a date that is not of the form 2026-01-31 or 2026-01-31T08:00:00Z")
		}
		made[id] = t.UTC()
	}
	return made, nil
}

func parseSecret(text string) (secret.Text, error) { return secret.New(text), nil }

func parseLongSecret(text string) (secret.Text, error) {
	if len(text) < minSecretBytes {
		return secret.Text{}, errShortSecret
	}
	return secret.New(text), nil
}

var errShortSecret = errors.New("has fewer than 32 bytes")
