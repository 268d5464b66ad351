package token

import (
	"errors"
	"fmt"
	"time"
)

// State is where a stored key stands in its life.
type State string

// The states, in their order. A verifier that caches the JWKS for some minutes never meets a token of a key that it does not
// know, and keeps the key of every token that is still good.
const (
	Published  State = "published"   // in the JWKS, but caches may not have it yet
	VerifyOnly State = "verify-only" // known to all caches; it does not sign yet
	Active     State = "active"      // signs
	Retiring   State = "retiring"    // signs no more; tokens that it signed may be in use
	Removable  State = "removable"   // no token of it is good any more
)

// cacheTime is how long verifiers of a use cache a JWKS: PowerSync fetches it anew after five minutes, and that of the access
// tokens says max-age=600.
func (u Use) cacheTime() time.Duration {
	if u == PowerSync {
		return 5 * time.Minute
	}
	return 10 * time.Minute
}

// signDelay is from publishing a key to signing with it: caches that fetched just before have it by then.
func (u Use) signDelay() time.Duration { return u.cacheTime() + time.Minute }

// ErrInUse means that a key cannot be removed yet.
var ErrInUse = errors.New("the key is in use")

// KeyState is a key with its state.
type KeyState struct {
	StoredKey
	State     State
	RemovesAt time.Time // from when it may be removed; zero while no later key is there
}

// states tells of each of the keys of one use, by SignsFrom, how it stands at now. Tokens live for ttl.
func states(keys []StoredKey, ttl time.Duration, now time.Time) []KeyState {
	out := make([]KeyState, len(keys))
	for i, k := range keys {
		out[i] = KeyState{StoredKey: k, State: waiting(k, now)}
		if i+1 < len(keys) {
			out[i].RemovesAt = keys[i+1].SignsFrom.Add(ttl + k.Use.cacheTime())
		}
		if now.Before(k.SignsFrom) {
			continue
		}
		switch {
		case i+1 == len(keys) || now.Before(keys[i+1].SignsFrom):
			out[i].State = Active
		case now.Before(out[i].RemovesAt):
			out[i].State = Retiring
		default:
			out[i].State = Removable
		}
	}
	return out
}

func waiting(k StoredKey, now time.Time) State {
	if now.Before(k.PublishedAt.Add(k.Use.cacheTime())) {
		return Published
	}
	return VerifyOnly
}

// checkRemoval returns ErrInUse, saying until when, for a key that signs, will sign or has signed tokens that are good.
func (k KeyState) checkRemoval() error {
	switch k.State {
	case Removable:
		if k.Configured {
			return fmt.Errorf("%w: it is configured, and published no more; take it out of the configuration", ErrInUse)
		}
		return nil
	case Retiring:
		return fmt.Errorf("%w: tokens that it signed are good until %s", ErrInUse, k.RemovesAt.Format(time.RFC3339))
	case Published, VerifyOnly:
		return fmt.Errorf("%w: it signs from %s", ErrInUse, k.SignsFrom.Format(time.RFC3339))
	case Active:
	}
	return fmt.Errorf("%w: it signs; rotate first", ErrInUse)
}
