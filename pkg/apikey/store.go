package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
)

// Errors of a Store.
var (
	ErrNotFound      = errors.New("api key not found")
	ErrQuotaExceeded = errors.New("account has as many live keys as its plan allows")
	ErrReused        = errors.New("idempotency key was used for another key")
	ErrNotRotatable  = errors.New("the key is revoked, expired or was rotated before")
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
	LastUsedAt time.Time // zero before the first use; kept to about a quarter of a minute
	ExpiresAt  time.Time // zero for never
	RevokedAt  time.Time // zero while the key lives
}

// Live reports whether the key is neither revoked nor expired at now.
func (k Key) Live(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Issue is the kept answer of one issuing or rotation, by which a retry gets the same key.
type Issue struct {
	IdempotencyKey string            // the caller's; "" keeps no answer
	Fingerprint    [sha256.Size]byte // of what was asked for
	Sealed         []byte            // the answer, under seal
	ExpiresAt      time.Time
}

// Filter pages a listing of keys, the newest first.
type Filter struct {
	After string // id of the last key of the page before; "" for the first page
	Limit int    // at most so many; 0 means all
}

// Store keeps API keys. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond. What takes an
// audit entry writes it in its transaction. An id that is no UUID is unknown.
type Store interface {
	// IssueByKey returns the kept answer of the user's idempotency key, ErrNotFound when there is none at now.
	IssueByKey(ctx context.Context, userID, idempotencyKey string, now time.Time) (Issue, error)
	// CreateKey keeps a new key and its answer in one transaction that holds the account, so that two at once cannot
	// pass the quota together. It returns ErrQuotaExceeded when the user has quota live keys at k.CreatedAt. When an
	// answer for the idempotency key is already kept it creates nothing and returns that answer, with the error
	// ErrReused if the fingerprints differ. It returns ErrNotFound when the user is unknown.
	CreateKey(ctx context.Context, k Key, quota int, issue Issue, issued audit.Entry) (Issue, error)
	// RotateKey puts k in the place of key old of the same user: old expires at expiresAt, unless it does so earlier, or
	// is revoked if that is not after k.CreatedAt; a key that old itself replaced is revoked. K takes the name and the
	// tier of old, and no place in the quota. Kept answers are as with CreateKey. It returns ErrNotFound when the user
	// has no key old, and ErrNotRotatable when old is not live, or has been rotated.
	RotateKey(ctx context.Context, old string, k Key, expiresAt time.Time, issue Issue, rotated audit.Entry) (Issue, error)
	// KeyByID returns a key of a user, or ErrNotFound.
	KeyByID(ctx context.Context, userID, id string) (Key, error)
	// KeyByHash returns ErrNotFound for an unknown hash. A key of a disabled account comes as revoked when the account was
	// disabled.
	KeyByHash(ctx context.Context, hash [sha256.Size]byte) (Key, error)
	// Keys lists the keys of a user, also those that are revoked or have expired. It returns ErrNotFound when f.After is no
	// key of the user.
	Keys(ctx context.Context, userID string, f Filter) ([]Key, error)
	// RevokeKey ends a key of a user; one that is revoked stays revoked as it was. It returns ErrNotFound when the user has no
	// such key.
	RevokeKey(ctx context.Context, userID, id string, revoked audit.Entry) error
	// KeysUsed notes the times of uses, by the ids of the keys. Earlier ones than are noted do nothing.
	KeysUsed(ctx context.Context, uses map[string]time.Time) error
}
