package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// Errors of a Store.
var (
	ErrNotFound      = errors.New("api key not found")
	ErrQuotaExceeded = errors.New("account has as many live keys as its plan allows")
	ErrReused        = errors.New("idempotency key was used for another key")
)

// Key is an API key as it is kept: without its token.
type Key struct {
	ID         string // a UUID in lower case
	UserID     string
	Name       string
	Prefix     string // the first 8 characters of the token, safe for logs
	Hash       [sha256.Size]byte
	Tier       string
	CreatedAt  time.Time
	LastUsedAt time.Time // zero before the first use; kept to about a minute
	ExpiresAt  time.Time // zero for never
	RevokedAt  time.Time // zero while the key lives
}

// Live reports whether the key is neither revoked nor expired at now.
func (k Key) Live(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Issue is the kept answer of one issuing, by which a retry gets the same key.
type Issue struct {
	IdempotencyKey string            // the caller's; "" keeps no answer
	Fingerprint    [sha256.Size]byte // of name and tier
	Sealed         []byte            // the answer, under seal
	ExpiresAt      time.Time
}

// Store keeps API keys. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond.
type Store interface {
	// IssueByKey returns the kept answer of the user's idempotency key, ErrNotFound when there is none at now.
	IssueByKey(ctx context.Context, userID, idempotencyKey string, now time.Time) (Issue, error)
	// CreateKey keeps a new key and its answer in one transaction that holds the account, so that two at once cannot
	// pass the quota together. It returns ErrQuotaExceeded when the user has quota live keys at k.CreatedAt. When an
	// answer for the idempotency key is already kept it creates nothing and returns that answer, with the error
	// ErrReused if the fingerprints differ. It returns ErrNotFound when the user is unknown.
	CreateKey(ctx context.Context, k Key, quota int, issue Issue) (Issue, error)
	// KeyByHash returns ErrNotFound for an unknown hash. A key of a disabled account comes as revoked when the account was
	// disabled.
	KeyByHash(ctx context.Context, hash [sha256.Size]byte) (Key, error)
	// KeyUsed notes the time of a use.
	KeyUsed(ctx context.Context, keyID string, now time.Time) error
}
