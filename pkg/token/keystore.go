package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
)

// reloadAfter is how old what a process knows of the stored keys may be. It is far less than signDelay, so that every
// replica publishes a key before one signs with it.
const reloadAfter = 15 * time.Second

// retryAfter is how long a process leaves a store alone that failed.
const retryAfter = time.Second

// Keystore is a Ring of keys that are kept in a store, and rotated there. The first key is the configured one, or where none
// is configured made in the store when it is first needed.
type Keystore struct {
	KeystoreConfig
	asking chan struct{} // of capacity one: taken by who asks the store

	mu    sync.Mutex   // of what follows, and never held while the store is asked
	pairs []storedPair // by SignsFrom
	err   error        // why there are none
	due   time.Time    // when the store is to be asked again
}

type storedPair struct {
	stored StoredKey
	key    Key
}

// KeystoreConfig is what a Keystore is made of; every field but Base and Previous is needed.
type KeystoreConfig struct {
	Store    Store
	Sealer   *seal.Sealer // of the private keys
	Use      Use
	TTL      time.Duration // of the tokens
	Base     *Key          // the configured key, which signs until another is rotated in
	Previous *Key          // a configured key that signed before Base, and still verifies
	Now      func() time.Time
}

// NewKeystore returns a Keystore.
func NewKeystore(c KeystoreConfig) *Keystore {
	return &Keystore{KeystoreConfig: c, asking: make(chan struct{}, 1)}
}

// Signing implements [Ring].
func (k *Keystore) Signing(ctx context.Context) (Key, error) {
	pairs, now, err := k.current(ctx)
	if err != nil {
		return Key{}, err
	}
	for _, p := range slices.Backward(pairs[1:]) {
		if !now.Before(p.stored.SignsFrom) {
			return p.key, nil
		}
	}
	return pairs[0].key, nil // signs from the beginning, by whatever clock it was made
}

// ByID implements [Ring].
func (k *Keystore) ByID(ctx context.Context, id string) (Key, error) {
	keys, err := k.Published(ctx)
	if err != nil {
		return Key{}, err
	}
	i := slices.IndexFunc(keys, func(key Key) bool { return key.ID == id })
	if i < 0 {
		return Key{}, ErrUnknownKey
	}
	return keys[i], nil
}

// Published implements [Ring]. A configured key leaves by itself when no token of it is good any more.
func (k *Keystore) Published(ctx context.Context) ([]Key, error) {
	pairs, now, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(pairs)+1)
	for i, state := range k.states(pairs, now) {
		if !state.Configured || state.State != Removable {
			keys = append(keys, pairs[i].key)
		}
	}
	if k.Previous != nil {
		keys = append(keys, *k.Previous)
	}
	return keys, nil
}

func (k *Keystore) states(pairs []storedPair, now time.Time) []KeyState {
	stored := make([]StoredKey, len(pairs))
	for i, p := range pairs {
		stored[i] = p.stored
	}
	return states(stored, k.TTL, now)
}

// current returns the keys as of a moment ago, making the first. One caller at a time asks the store; the others go on with the
// keys that are known, as do all while the store is down. Where none are known they wait for who asks, and share the failure.
func (k *Keystore) current(ctx context.Context) ([]storedPair, time.Time, error) {
	now := k.Now().UTC()
	pairs, due, err := k.known()
	if now.Before(due) {
		return pairs, now, err
	}
	if len(pairs) == 0 {
		if err := k.waitToAsk(ctx); err != nil {
			return nil, now, err
		}
	} else if !k.tryAsking() {
		return pairs, now, nil
	}
	defer func() { <-k.asking }()
	if pairs, due, err = k.known(); now.Before(due) { // somebody asked meanwhile
		return pairs, now, err
	}
	pairs, err = k.refresh(ctx, pairs)
	return pairs, now, err
}

// known returns the keys that were loaded last, or why there are none, and when the store is to be asked again.
func (k *Keystore) known() (pairs []storedPair, due time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pairs, k.due, k.err
}

func (k *Keystore) tryAsking() bool {
	select {
	case k.asking <- struct{}{}:
		return true
	default:
		return false
	}
}

func (k *Keystore) waitToAsk(ctx context.Context) error {
	select {
	case k.asking <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refresh asks the store, and falls back to the known keys. Who has not read it yet knows none, whatever is configured: another key
// may sign by now, and what that signed must not be refused for good.
func (k *Keystore) refresh(ctx context.Context, known []storedPair) ([]storedPair, error) {
	due := k.Now().UTC().Add(reloadAfter)
	pairs, err := k.load(ctx)
	if err == nil && len(pairs) == 0 {
		pairs, err = k.first(ctx)
	}
	if err == nil && len(pairs) == 0 {
		err = ErrNoKey
	}
	if err != nil {
		pairs, due = known, k.Now().UTC().Add(retryAfter)
	}
	if len(pairs) > 0 {
		err = nil
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) { // who asked has gone; that says nothing of the store
		return nil, err
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	k.pairs, k.err, k.due = pairs, err, due
	return pairs, err
}

// base returns the configured key as the first.
func (k *Keystore) base() []storedPair {
	if k.Base == nil {
		return nil
	}
	return []storedPair{{StoredKey{ID: k.Base.ID, Use: k.Use, Configured: true}, *k.Base}}
}

func (k *Keystore) load(ctx context.Context) ([]storedPair, error) {
	stored, err := k.Store.SigningKeys(ctx, k.Use)
	if err != nil {
		return nil, fmt.Errorf("load signing keys: %w", err)
	}
	pairs := k.base()
	for _, s := range stored {
		pair, err := k.open(s)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// open parses a key, or takes it from those that are already parsed.
func (k *Keystore) open(s StoredKey) (storedPair, error) {
	known, _, _ := k.known()
	for _, p := range known {
		if p.stored.ID == s.ID {
			return storedPair{s, p.key}, nil
		}
	}
	pem, err := k.Sealer.Open(s.Sealed, sealedAs(s.ID))
	if err != nil {
		return storedPair{}, fmt.Errorf("open signing key %s: is SEAL_KEY the one that it was stored with? %w", s.ID, err)
	}
	key, err := ParseKey(k.Use, s.ID, secret.New(string(pem)))
	return storedPair{s, key}, err
}

func sealedAs(keyID string) string { return "provisioner signing key " + keyID }

// first makes the first key. It signs at once: nobody can have cached a JWKS without it.
func (k *Keystore) first(ctx context.Context) ([]storedPair, error) {
	now := k.Now().UTC()
	if err := k.add(ctx, nil, now, now); err != nil && !errors.Is(err, ErrKeyExists) {
		return nil, err
	}
	return k.load(ctx)
}

func (k *Keystore) add(ctx context.Context, seen []string, published, signs time.Time) error {
	pem, err := NewKey(k.Use)
	if err != nil {
		return err
	}
	id := uuid.NewString()
	sealed, err := k.Sealer.Seal(pem.Bytes(), sealedAs(id))
	if err != nil {
		return fmt.Errorf("seal signing key: %w", err)
	}
	stored := StoredKey{ID: id, Use: k.Use, Sealed: sealed, PublishedAt: published, SignsFrom: signs}
	if err := k.Store.AddSigningKey(ctx, stored, seen, k.entry(ctx, audit.SigningKeyAdded, id)); err != nil {
		return fmt.Errorf("store signing key: %w", err)
	}
	return nil
}

func (k *Keystore) entry(ctx context.Context, kind audit.Kind, id string) audit.Entry {
	e := audit.New(ctx, k.Now().UTC(), kind, "")
	e.Detail = string(k.Use) + " " + id
	return e
}

// List returns the keys with their states, by the time from which they sign.
func (k *Keystore) List(ctx context.Context) ([]KeyState, error) {
	pairs, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	return k.states(pairs, k.Now().UTC()), nil
}

// Rotate publishes a new key that takes over once all caches know it, and returns how the keys stand then. While an earlier
// rotation is under way it returns ErrInUse.
func (k *Keystore) Rotate(ctx context.Context) ([]KeyState, error) {
	keys, err := k.List(ctx)
	if err != nil {
		return nil, err
	}
	var seen []string
	for _, key := range keys {
		if key.State == Published || key.State == VerifyOnly {
			return nil, fmt.Errorf("a rotation is under way: key %s: %w", key.ID, key.checkRemoval())
		}
		if !key.Configured {
			seen = append(seen, key.ID)
		}
	}
	now := k.Now().UTC()
	signs := now.Add(k.Use.signDelay())
	if len(keys) == 0 {
		signs = now
	}
	if err := k.add(ctx, seen, now, signs); err != nil {
		return nil, err
	}
	return k.List(ctx)
}

// Retire removes a key of which no token is good any more. It returns ErrUnknownKey, or ErrInUse.
func (k *Keystore) Retire(ctx context.Context, id string) error {
	keys, err := k.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(s KeyState) bool { return s.ID == id })
	if i < 0 {
		return ErrUnknownKey
	}
	if err := keys[i].checkRemoval(); err != nil {
		return err
	}
	return k.Store.RemoveSigningKey(ctx, k.Use, id, k.entry(ctx, audit.SigningKeyGone, id))
}
