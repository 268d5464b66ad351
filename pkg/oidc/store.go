package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// ErrNotFound is a Store's answer for a state that is unknown, taken or expired.
var ErrNotFound = errors.New("sign-in state not found")

// State is a flow between its Start and its Finish. What the user's browser holds is kept only as hashes.
type State struct {
	Hash          [sha256.Size]byte // SHA-256 of the state that the provider sends back: the key
	RedirectURI   string            // the app's, at most 2048 bytes
	CodeChallenge string            // the app's: 43 characters, "" for none
	UserID        string            // who links an identity, a UUID; "" for a sign-in
	Nonce         string            // that the ID token must name: 43 characters
	Verifier      string            // of the PKCE towards the provider: 43 characters
	BrowserHash   [sha256.Size]byte // SHA-256 of the browser's secret; all zero for a link
	ExpiresAt     time.Time
}

// isLink reports whether a signed-in user adds an identity to the account.
func (s State) isLink() bool { return s.UserID != "" }

// Store keeps states. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond.
type Store interface {
	// CreateState keeps a new state. It returns ErrNotFound when s.UserID is neither "" nor a user.
	CreateState(ctx context.Context, s State) error
	// TakeState returns the state of hash and deletes it in the same statement, so that of many calls at once exactly one
	// gets it. A state whose ExpiresAt is not after now returns ErrNotFound, as does one that is unknown or was taken.
	TakeState(ctx context.Context, hash [sha256.Size]byte, now time.Time) (State, error)
}
