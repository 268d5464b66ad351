// Package session keeps users signed in: families of rotating refresh tokens, the detection of reuse, and revocation
// (contract: papyrus, section 3). It does not sign users in, and issues no access tokens.
package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/secret"
)

// MinKeyLen is the least length of the key of refresh tokens, in bytes.
const MinKeyLen = 32

// absoluteLife is when a session ends however often it is refreshed.
const absoluteLife = 365 * 24 * time.Hour

// ErrInvalidToken is the one answer for every refresh token that gives nothing: forged, expired, revoked or used before.
var ErrInvalidToken = errors.New("invalid refresh token")

// Keeper makes, refreshes and ends sessions.
type Keeper struct {
	store   Store
	codec   codec
	sliding time.Duration
	adopted bool
	live    *revocation.Cache[string, Session]
	now     func() time.Time
}

// Config is what a Keeper is made of; every field but Adopted is needed.
type Config struct {
	Store   Store
	Key     secret.Text   // of at least MinKeyLen bytes; with another the refresh tokens of before are worth nothing
	Sliding time.Duration // after which a session that is not refreshed expires
	Adopted bool          // there may be sessions from before this server, with refresh tokens of another form
	Feed    revocation.Feed
	Now     func() time.Time
}

// NewKeeper returns a Keeper, or an error for a key that is too short.
func NewKeeper(c Config) (*Keeper, error) {
	if c.Key.Len() < MinKeyLen {
		return nil, fmt.Errorf("the refresh token key has fewer than %d bytes", MinKeyLen)
	}
	return &Keeper{
		store: c.Store, codec: codec{key: c.Key}, sliding: c.Sliding, adopted: c.Adopted, now: c.Now,
		live: revocation.NewCache[string](c.Feed, concerns),
	}, nil
}

// Bound is how many sessions are remembered.
func (k *Keeper) Bound() bound.Bound { return k.live.Bound("cached_sessions") }

func concerns(n revocation.Notice, s Session) bool {
	return n.Kind == revocation.Session && n.ID == s.ID || n.Kind == revocation.User && n.ID == s.UserID
}

// Client is where a session is held.
type Client struct {
	Type        string // mobile, desktop, web or unknown
	DeviceLabel string // at most 255 characters
}

// New returns a session of a user that begins now, and its first refresh token. Whoever signs the user in keeps it.
func (k *Keeper) New(userID string, c Client) (Session, secret.Text) {
	id, now := uuid.New(), k.now().UTC().Truncate(time.Microsecond) // as the store keeps it
	return Session{
		ID: id.String(), UserID: userID, ClientType: c.Type, DeviceLabel: c.DeviceLabel,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(k.sliding), EndsAt: now.Add(absoluteLife),
	}, k.codec.encode(id, 0)
}

// Refresh takes a refresh token and returns its session with the current token: the successor of the one presented, the same
// for all who present it until the successor itself is presented. A token older than that revokes the session. It
// returns an error that wraps ErrInvalidToken for every token that gives nothing.
func (k *Keeper) Refresh(ctx context.Context, token string) (Session, secret.Text, error) {
	id, presented, err := k.place(ctx, token)
	if err != nil {
		return Session{}, secret.Text{}, err
	}

	now := k.now().UTC()
	reused := audit.New(ctx, now, audit.SessionReused, "")
	s, err := k.store.Rotate(ctx, id.String(), presented, now, now.Add(k.sliding), reused)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrReused):
		return Session{}, secret.Text{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	case err != nil:
		return Session{}, secret.Text{}, fmt.Errorf("refresh session: %w", err)
	}
	return s, k.codec.encode(id, s.Counter), nil
}

// place returns what a refresh token names. Forged ones are refused before any look-up.
func (k *Keeper) place(ctx context.Context, token string) (id uuid.UUID, counter uint64, err error) {
	if id, counter, ok := k.codec.decode(token); ok {
		return id, counter, nil
	}
	if !k.adopted || !maybeAdopted(token) {
		return uuid.Nil, 0, fmt.Errorf("%w: malformed or forged", ErrInvalidToken)
	}
	adopted, err := k.store.AdoptedSession(ctx, sha256.Sum256([]byte(token)))
	switch {
	case errors.Is(err, ErrNotFound):
		return uuid.Nil, 0, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	case err != nil:
		return uuid.Nil, 0, fmt.Errorf("find adopted session: %w", err)
	}
	id, err = uuid.Parse(adopted)
	return id, 0, err
}

// Live returns the session of id, ErrNotFound unless it is neither revoked nor expired. What it tells of the last refresh may
// be some seconds old.
func (k *Keeper) Live(ctx context.Context, id string) (Session, error) {
	load := func(ctx context.Context) (Session, error) {
		s, err := k.store.SessionByID(ctx, id)
		if err == nil && !s.Live(k.now()) {
			err = ErrNotFound
		}
		return s, err
	}
	s, err := k.live.Get(ctx, id, load)
	if err == nil && !s.Live(k.now()) { // unless a refresh has prolonged it meanwhile
		return load(ctx)
	}
	return s, err
}

// List returns the live sessions of a user, the one seen last first.
func (k *Keeper) List(ctx context.Context, userID string) ([]Session, error) {
	return k.store.LiveSessions(ctx, userID, k.now().UTC())
}

// Revoke ends, of the user of session id, the sessions in scope.
func (k *Keeper) Revoke(ctx context.Context, id string, scope Scope) error {
	kind := audit.SignedOut
	if scope == Others {
		kind = audit.SessionRevoked
	}
	return k.store.Revoke(ctx, id, scope, audit.New(ctx, k.now().UTC(), kind, ""))
}

// RevokeOf ends session id if it is a live one of the user, else it returns ErrNotFound.
func (k *Keeper) RevokeOf(ctx context.Context, userID, id string) error {
	s, err := k.store.SessionByID(ctx, id)
	if err != nil {
		return err
	}
	if s.UserID != userID || !s.Live(k.now()) {
		return ErrNotFound
	}
	return k.store.Revoke(ctx, id, Local, audit.New(ctx, k.now().UTC(), audit.SessionRevoked, userID))
}
