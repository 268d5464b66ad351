package supabase

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"
)

const (
	keysFresh = 10 * time.Minute // then they are fetched again, so that a withdrawn key is not believed for ever
	keysStale = time.Hour        // how long known keys are believed while they cannot be fetched
	keysPause = 10 * time.Second // least time between fetches for an unknown id: strangers choose those
	keysRetry = time.Second      // least time between fetches while they fail
)

// Algorithms of published keys (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	algES256 = "ES256"
	algRS256 = "RS256"
	algEdDSA = "EdDSA"
)

// errFetchKeys means that the published keys could not be fetched: nothing can be told of a JWT.
var errFetchKeys = errors.New("fetch the provider's keys")

// keySet is the keys that the provider publishes (RFC 7517). It is safe for concurrent use.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	keys    map[string]jose.JSONWebKey // by id
	fetched time.Time
	tried   time.Time
	failure error // of the last try
}

func newKeySet(url string, transport http.RoundTripper, now func() time.Time) *keySet {
	return &keySet{url: url, now: now, client: &http.Client{
		Transport: transport, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// verifying returns the public key that t names, if t is signed with the key's own algorithm.
func (s *keySet) verifying(ctx context.Context, t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	key, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if alg := algorithm(key); alg != t.Method.Alg() {
		return nil, fmt.Errorf("the key is for %q", alg)
	}
	return key.Key, nil
}

// algorithm returns what a key is for: what it says, else what its type is used for. It is "" for none of ours.
func algorithm(key jose.JSONWebKey) string {
	if key.Algorithm != "" {
		return key.Algorithm
	}
	switch k := key.Key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return algES256
		}
	case *rsa.PublicKey:
		return algRS256
	case ed25519.PublicKey:
		return algEdDSA
	}
	return ""
}

// find returns the key of an id, fetching the keys if that may help. While they cannot be fetched it goes on with a key that
// it knows, for a time.
func (s *keySet) find(ctx context.Context, id string) (jose.JSONWebKey, error) {
	k := s.look(id)
	if k.wants(s.now()) {
		if err := s.refresh(ctx); err != nil && ctx.Err() != nil {
			return jose.JSONWebKey{}, fmt.Errorf("%w: %w", errFetchKeys, err)
		}
		k = s.look(id)
	}
	switch usable := k.known && s.now().Sub(k.fetched) < keysStale; {
	case usable:
		return k.key, nil
	case k.failure != nil:
		return jose.JSONWebKey{}, fmt.Errorf("%w: %w", errFetchKeys, k.failure)
	}
	return jose.JSONWebKey{}, errors.New("unknown key id")
}

// knowledge is what a keySet knows of an id.
type knowledge struct {
	key     jose.JSONWebKey
	known   bool
	fetched time.Time // when the keys were fetched
	tried   time.Time // when that was last tried
	failure error     // of the last try
}

// wants reports whether the keys are to be fetched for the id's sake.
func (k knowledge) wants(now time.Time) bool {
	pause := keysPause
	if k.failure != nil {
		pause = keysRetry
	}
	stale := !k.known || now.Sub(k.fetched) >= keysFresh
	return stale && now.Sub(k.tried) >= pause
}

func (s *keySet) look(id string) knowledge {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, known := s.keys[id]
	return knowledge{key: key, known: known, fetched: s.fetched, tried: s.tried, failure: s.failure}
}

// refresh fetches the keys, once for all who want them now. A caller that gives up does not end it for the others.
func (s *keySet) refresh(ctx context.Context) error {
	done := s.flight.DoChan("", func() (any, error) {
		keys, err := s.fetch(context.WithoutCancel(ctx))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tried, s.failure = s.now(), withoutURL(err)
		if err == nil {
			s.keys, s.fetched = keys, s.tried
		}
		return keys, err
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *keySet) fetch(ctx context.Context) (map[string]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answered %d", resp.StatusCode)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReplyLen)).Decode(&set); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return publicKeys(set.Keys), nil
}

// publicKeys leaves out what is no key for signatures, or of a kind that is unknown here (RFC 7517 §5).
func publicKeys(set []json.RawMessage) map[string]jose.JSONWebKey {
	keys := make(map[string]jose.JSONWebKey, len(set))
	for _, raw := range set {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.KeyID != "" && key.Use != "enc" && key.IsPublic() {
			keys[key.KeyID] = key
		}
	}
	return keys
}
