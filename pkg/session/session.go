// Package session keeps users signed in: families of rotating refresh tokens, the detection of reuse, and revocation
// (contract: papyrus, section 3). It does not sign users in, and issues no access tokens.
package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/secret"
)

// MinKeyLen is the least length of the key of refresh tokens, in bytes.
const MinKeyLen = 32

// absoluteLife is when a session ends however often it is refreshed.
const absoluteLife = 365 * 24 * time.Hour

// ErrInvalidToken is the one answer for every refresh token that gives nothing: forged, expired, revoked or used before.
var ErrInvalidToken = errors.New("invalid refresh token")

// Keeper starts, refreshes and ends sessions.
type Keeper struct {
	store   Store
	codec   codec
	sliding time.Duration
	now     func() time.Time
}

// NewKeeper returns a Keeper whose sessions expire when they are not refreshed for sliding. The key, of at least MinKeyLen
// bytes, makes the refresh tokens; with another key the tokens of before are worth nothing.
func NewKeeper(store Store, key secret.Text, sliding time.Duration, now func() time.Time) (*Keeper, error) {
	if key.Len() < MinKeyLen {
		return nil, fmt.Errorf("the refresh token key has fewer than %d bytes", MinKeyLen)
	}
	return &Keeper{store: store, codec: codec{key: key}, sliding: sliding, now: now}, nil
}

// Client is where a session is held.
type Client struct {
	Type        string // mobile, desktop, web or unknown
	DeviceLabel string // at most 255 bytes
}

// Start begins a session of a user and returns it with its first refresh token.
func (k *Keeper) Start(ctx context.Context, userID string, c Client) (Session, secret.Text, error) {
	id, now := uuid.New(), k.now().UTC()
	s := Session{
		ID: id.String(), UserID: userID, ClientType: c.Type, DeviceLabel: c.DeviceLabel,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(k.sliding), EndsAt: now.Add(absoluteLife),
	}
	if err := k.store.CreateSession(ctx, s); err != nil {
		return Session{}, secret.Text{}, fmt.Errorf("start session: %w", err)
	}
	return s, k.codec.encode(id, s.Counter), nil
}

// Refresh takes a refresh token and returns its session with the current token: the successor of the one presented, the same
// for all who present it until the successor itself is presented. A token older than that revokes the session. It
// returns an error that wraps ErrInvalidToken for every token that gives nothing.
func (k *Keeper) Refresh(ctx context.Context, token string) (Session, secret.Text, error) {
	id, presented, ok := k.codec.decode(token)
	if !ok {
		return Session{}, secret.Text{}, fmt.Errorf("%w: malformed or forged", ErrInvalidToken)
	}

	now := k.now().UTC()
	s, err := k.store.Rotate(ctx, id.String(), presented, now, now.Add(k.sliding))
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrReused):
		return Session{}, secret.Text{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	case err != nil:
		return Session{}, secret.Text{}, fmt.Errorf("refresh session: %w", err)
	}
	return s, k.codec.encode(id, s.Counter), nil
}

// Live returns the session of id, ErrNotFound unless it is neither revoked nor expired.
func (k *Keeper) Live(ctx context.Context, id string) (Session, error) {
	s, err := k.store.SessionByID(ctx, id)
	if err != nil {
		return Session{}, err
	}
	if !s.Live(k.now()) {
		return Session{}, ErrNotFound
	}
	return s, nil
}

// Revoke ends, of the user of session id, the sessions in scope.
func (k *Keeper) Revoke(ctx context.Context, id string, scope Scope) error {
	return k.store.Revoke(ctx, id, scope, k.now().UTC())
}
