package supabase

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"

	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/provision"
)

const maxCached = 10_000

// CachedValidator remembers, for a while, what another validator found good. Refusals are not remembered.
type CachedValidator struct {
	next  provision.Validator
	known *otter.Cache[[sha256.Size]byte, *remembered]
	ttl   time.Duration
	now   func() time.Time
}

type remembered struct {
	who   provision.Identity
	until time.Time
}

// NewCachedValidator returns a validator that asks next at most once in ttl for each JWT, and never believes one past its
// expiry.
func NewCachedValidator(next provision.Validator, ttl time.Duration, now func() time.Time) *CachedValidator {
	known := otter.Must(&otter.Options[[sha256.Size]byte, *remembered]{
		MaximumSize:      maxCached,
		ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, *remembered](ttl),
	})
	return &CachedValidator{next: next, known: known, ttl: ttl, now: now}
}

// Bound is how many JWTs are remembered: of more, those used last.
func (v *CachedValidator) Bound() bound.Bound {
	return bound.Bound{Service: "receiver", What: "cached_jwts", Limit: maxCached, Used: func() int64 { return int64(v.known.EstimatedSize()) }}
}

// Validate implements [provision.Validator].
func (v *CachedValidator) Validate(ctx context.Context, raw string) (provision.Identity, error) {
	key := sha256.Sum256([]byte(raw))
	if r, ok := v.known.GetIfPresent(key); ok && v.now().Before(r.until) {
		return r.who, nil
	}

	who, err := v.next.Validate(ctx, raw)
	if err != nil {
		return provision.Identity{}, err
	}
	if until, ok := v.until(raw); ok {
		v.known.Set(key, &remembered{who: who, until: until})
	}
	return who, nil
}

// until returns when a JWT that was found good is to be asked about again. One without an expiry is not remembered.
func (v *CachedValidator) until(raw string) (time.Time, bool) {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(raw, &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}, false
	}
	until := v.now().Add(v.ttl)
	if claims.ExpiresAt.Before(until) {
		until = claims.ExpiresAt.Time
	}
	return until, true
}
