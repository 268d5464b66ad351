package account

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store.
var (
	ErrNotFound   = errors.New("account not found")
	ErrEmailTaken = errors.New("an account with this email exists")
)

// User is an account.
type User struct {
	ID            string // a UUID in lower case
	Email         string // trimmed and in lower case; unique
	EmailVerified bool
	DisplayName   string
	AvatarURL     string // "" for none
	Plan          string // name of the tier that the account may use at most
	CreatedAt     time.Time
	LastLoginAt   time.Time // zero before the first sign-in
	DisabledAt    time.Time // zero while the account is enabled
}

// Disabled reports whether an operator has disabled the account.
func (u User) Disabled() bool { return !u.DisabledAt.IsZero() }

// Filter narrows and pages a listing of accounts, oldest first.
type Filter struct {
	After string // id of the last user of the page before; "" for the first page
	Limit int    // at most so many; 0 means all
}

// Store keeps accounts. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond.
type Store interface {
	// CreateUser keeps a new account and the hash of its password (a PHC string). It returns ErrEmailTaken when the
	// e-mail has an account.
	CreateUser(ctx context.Context, u User, passwordHash string) error
	// UserByID returns ErrNotFound for an unknown id; one that is no UUID is unknown.
	UserByID(ctx context.Context, id string) (User, error)
	// UserByEmail returns ErrNotFound for an address without an account.
	UserByEmail(ctx context.Context, email string) (User, error)
	// Users lists accounts in the order of creation. It returns ErrNotFound when f.After has been deleted.
	Users(ctx context.Context, f Filter) ([]User, error)
	// PasswordHash returns the PHC string of an account, "" for an account without a password or an unknown one.
	PasswordHash(ctx context.Context, userID string) (string, error)
	// SetPasswordHash replaces the hash if it is still old, so that two sign-ins that rehash do not undo a change of
	// password between them. For an unknown id it does nothing, and so does SignedIn.
	SetPasswordHash(ctx context.Context, userID, old, replacement string, now time.Time) error
	// SignedIn notes the time of a sign-in.
	SignedIn(ctx context.Context, userID string, now time.Time) error
	// SetPlan returns ErrNotFound for an unknown id.
	SetPlan(ctx context.Context, userID, plan string) error
	// SetDisabled disables an account and revokes its sessions, in one transaction, or with at zero enables it. It
	// returns ErrNotFound for an unknown id.
	SetDisabled(ctx context.Context, userID string, at time.Time) error
	// DeleteUser erases an account and everything it owns, with the events that name it as their user. It returns ErrNotFound for an unknown id.
	DeleteUser(ctx context.Context, userID string) error
}
