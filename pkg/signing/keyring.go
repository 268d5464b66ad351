package signing

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Key is a shared secret and its id.
type Key struct {
	ID     string // names the key in HeaderKeyID; "" only in the single-key form
	Secret []byte
}

// Keyring signs with its active key and finds the key that a request names. Its keys can be replaced while requests are
// being signed and verified: each request sees the old ring or the new one, whole.
type Keyring struct {
	ring atomic.Pointer[ring]
}

type ring struct {
	keys   map[string]*mac // by id; nil in the single-key form
	active *mac            // signs; nil in a ring that only verifies
	single *mac            // the one key of the single-key form, else nil
	decoy  *mac            // does the work for ids that name no key
}

// NewKeyring returns a ring of named keys that signs with the key called active; with active "" it only verifies. It
// reports an error when keys is empty, a secret is empty, an id is empty or used twice, or active names no key. Errors
// never show a secret.
func NewKeyring(keys []Key, active string) (*Keyring, error) {
	k := new(Keyring)
	return k, k.Replace(keys, active)
}

// NewSingleKey returns a ring in the single-key form: no key id is sent, and one that comes is ignored. It reports an
// error when secret is empty.
func NewSingleKey(secret []byte) (*Keyring, error) {
	k := new(Keyring)
	return k, k.ReplaceSingle(secret)
}

// Replace puts keys in place of the ring's keys, under the rules of [NewKeyring]. On an error the ring stays as it was.
func (k *Keyring) Replace(keys []Key, active string) error {
	if len(keys) == 0 {
		return errors.New("keyring has no keys")
	}

	r := &ring{keys: make(map[string]*mac, len(keys)), decoy: newDecoy()}
	for _, key := range keys {
		if key.ID == "" || len(key.Secret) == 0 {
			return errors.New("a key of the keyring has an empty id or an empty secret")
		}
		if _, twice := r.keys[key.ID]; twice {
			return fmt.Errorf("two keys of the keyring have the id %q", key.ID)
		}
		r.keys[key.ID] = newMAC(key)
	}
	if active != "" {
		if r.active = r.keys[active]; r.active == nil {
			return fmt.Errorf("the active key id %q is not in the keyring", active)
		}
	}

	k.ring.Store(r)
	return nil
}

// ReplaceSingle puts the single-key form in place of the ring's keys, under the rules of [NewSingleKey].
func (k *Keyring) ReplaceSingle(secret []byte) error {
	if len(secret) == 0 {
		return errors.New("the shared secret is empty")
	}
	m := newMAC(Key{Secret: secret})
	k.ring.Store(&ring{active: m, single: m, decoy: newDecoy()})
	return nil
}

// ErrNoActiveKey means that a ring that only verifies was asked to sign.
var ErrNoActiveKey = errors.New("the keyring has no active key to sign with")

// Sign signs body as sent at now, to the millisecond, with the active key.
func (k *Keyring) Sign(now time.Time, body []byte) (Headers, error) {
	active := k.ring.Load().active
	if active == nil {
		return Headers{}, ErrNoActiveKey
	}
	return active.sign(now.UnixMilli(), body), nil
}

// find returns the key that id names. An id that names none gets a decoy and false: a request with a wrong id is to
// cost what one with a wrong signature costs.
func (r *ring) find(id string) (*mac, bool) {
	if r.single != nil {
		return r.single, true
	}
	if m, ok := r.keys[id]; ok {
		return m, true
	}
	return r.decoy, false
}
