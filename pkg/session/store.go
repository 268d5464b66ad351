package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
)

// Errors of a Store.
var (
	ErrNotFound = errors.New("session not found")
	ErrReused   = errors.New("refresh token was used before")
)

// Session is one sign-in of a user, on one device: a family of refresh tokens, of which one is current.
type Session struct {
	ID          string // a UUID in lower case
	UserID      string
	Counter     uint64 // of the current refresh token
	ClientType  string // mobile, desktop, web or unknown
	DeviceLabel string
	CreatedAt   time.Time
	LastSeenAt  time.Time
	ExpiresAt   time.Time // slides with each refresh
	EndsAt      time.Time // never slides
	RevokedAt   time.Time // zero while the session lives
}

// Live reports whether the session is neither revoked nor expired at now.
func (s Session) Live(now time.Time) bool {
	return s.RevokedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.EndsAt)
}

// Scope says which of a user's sessions to revoke.
type Scope int

// The scopes.
const (
	Local  Scope = iota // the one session
	Others              // all but the one
	Global              // all
)

// Store keeps sessions. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond. What takes an
// audit entry writes it in its transaction, with the ids that it lacks.
type Store interface {
	// SessionByID returns ErrNotFound for an unknown id; one that is no UUID is unknown.
	SessionByID(ctx context.Context, id string) (Session, error)
	// AdoptedSession returns the id of the session whose refresh token, from before this server, has the given hash, or
	// ErrNotFound.
	AdoptedSession(ctx context.Context, tokenHash [sha256.Size]byte) (id string, err error)
	// LiveSessions lists the sessions of a user that are live at now, the one seen last first.
	LiveSessions(ctx context.Context, userID string, now time.Time) ([]Session, error)
	// Rotate presents counter presented of session id. If it is the current one, one conditional update steps it,
	// sets LastSeenAt to now and ExpiresAt to expiresAt. If it is the immediate predecessor the session comes back
	// unstepped: its current token has never been presented, or presented would be older. Anything older returns
	// ErrReused, having revoked the session in the same transaction, which writes reused. A session that is unknown, or
	// not live at now, returns ErrNotFound, and so does a counter that was never issued (the database was restored
	// from a backup).
	Rotate(ctx context.Context, id string, presented uint64, now, expiresAt time.Time, reused audit.Entry) (Session, error)
	// Revoke ends, of the user of session id, the sessions in scope, and writes done if it ended any.
	Revoke(ctx context.Context, id string, scope Scope, done audit.Entry) error
}
