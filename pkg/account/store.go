package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/session"
)

// Errors of a Store.
var (
	ErrNotFound      = errors.New("account not found")
	ErrEmailTaken    = errors.New("an account with this email exists")
	ErrIdentityTaken = errors.New("the identity belongs to another account")
	ErrChanged       = errors.New("the password was changed meanwhile")
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

// Identity is a user at an OpenID provider.
type Identity struct {
	ID            string // a UUID in lower case
	UserID        string
	Provider      string // "google": the name in the paths of the API, whichever provider is configured
	Subject       string // the provider's id of the user
	Email         string // at the provider; may differ from the account's, and change
	EmailVerified bool
	CreatedAt     time.Time
	LastUsedAt    time.Time
}

// Addition is a new account with all that is kept with it, in one transaction.
type Addition struct {
	User         User
	PasswordHash string           // a PHC string; "" for an account that has no password
	Identity     *Identity        // that it was made by
	Session      *session.Session // that begins with it
	Code         *ExchangeCode    // that its first session is to be had for
	Mail         *mail.Job        // to its address
	Audit        audit.Entry
}

// Proof is what a sign-in rests on; the zero Proof on an exchange code alone.
type Proof struct {
	Identity     *Identity // at the provider
	PasswordHash string    // that the password was verified against
}

// Purpose is what an exchange code is good for.
type Purpose string

// The purposes.
const (
	ToSignIn Purpose = "login"
	ToLink   Purpose = "link"
)

// ExchangeCode is what an app gets for a sign-in at a provider, to be exchanged once (contract: papyrus, section 3, "OAuth").
type ExchangeCode struct {
	Hash      [sha256.Size]byte // of the code
	Purpose   Purpose
	UserID    string
	Challenge string    // PKCE S256 of the app; "" for none
	Identity  *Identity // that signed in, or is to be linked; nil with the code of a new account
	ExpiresAt time.Time
}

// ActionToken lets whoever reads an account's mail do one thing.
type ActionToken struct {
	ID        string // a UUID in lower case
	UserID    string
	Kind      mail.Kind
	Hash      [sha256.Size]byte // of the token
	CreatedAt time.Time
	ExpiresAt time.Time
}

// ProfileChange is what to change of a profile; nil leaves a field as it is.
type ProfileChange struct {
	DisplayName *string
	AvatarURL   *string // "" clears it
}

// Filter narrows and pages a listing of accounts, oldest first.
type Filter struct {
	After string // id of the last user of the page before; "" for the first page
	Limit int    // at most so many; 0 means all
}

// Store keeps accounts. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond. What takes an
// audit entry writes it in its transaction, with the ids that it lacks. An id that is no UUID is unknown.
type Store interface {
	// CreateUser keeps a new account. It returns ErrEmailTaken when the e-mail has an account, ErrIdentityTaken when the
	// identity has one.
	CreateUser(ctx context.Context, a Addition) error
	// UserByID returns ErrNotFound for an unknown id.
	UserByID(ctx context.Context, id string) (User, error)
	// UserByEmail returns ErrNotFound for an address without an account.
	UserByEmail(ctx context.Context, email string) (User, error)
	// Users lists accounts in the order of creation. It returns ErrNotFound when f.After has been deleted.
	Users(ctx context.Context, f Filter) ([]User, error)
	// UserByIdentity returns ErrNotFound for an identity without an account.
	UserByIdentity(ctx context.Context, provider, subject string) (User, error)
	// Identities lists those of an account, the oldest first.
	Identities(ctx context.Context, userID string) ([]Identity, error)

	// Credentials returns an account with the PHC string of its password, "" for none. It asks one question, so that an
	// address without an account, which returns ErrNotFound, costs the same.
	Credentials(ctx context.Context, email string) (User, string, error)
	// PasswordHash returns the PHC string of an account, "" for an account without a password or an unknown one.
	PasswordHash(ctx context.Context, userID string) (string, error)
	// SetPasswordHash replaces the hash if it is still old, so that two sign-ins that rehash do not undo a change of
	// password between them. For an unknown id it does nothing.
	SetPasswordHash(ctx context.Context, userID, old, replacement string, now time.Time) error
	// ChangePassword replaces the hash if it is still old, "" for none, else it returns ErrChanged. It revokes all
	// sessions but keep, deletes exchange codes, and voids all tokens that would reset the password.
	ChangePassword(ctx context.Context, userID, old, replacement, keep string, changed audit.Entry) error

	// SignIn begins a session and notes its time with the account, and the use of the identity that it is by. It returns
	// ErrNotFound for an account that is gone or disabled, or no longer has the identity, and ErrChanged for one whose
	// password hash is another by now: a change of the password ends every session that began with the old one.
	SignIn(ctx context.Context, s session.Session, by Proof, signedIn audit.Entry) error
	// UpdateProfile returns the account as it then is, ErrNotFound for an unknown id.
	UpdateProfile(ctx context.Context, userID string, c ProfileChange) (User, error)
	// Preferences returns the JSON object of an account, nil for one that has set none.
	Preferences(ctx context.Context, userID string) ([]byte, error)
	// SetPreferences returns ErrNotFound for an unknown id.
	SetPreferences(ctx context.Context, userID string, object []byte) error
	// SetPlan returns ErrNotFound for an unknown id.
	SetPlan(ctx context.Context, userID, plan string, set audit.Entry) error
	// SetDisabled disables an account and revokes its sessions, in one transaction, or with at zero enables it. It
	// returns ErrNotFound for an unknown id.
	SetDisabled(ctx context.Context, userID string, at time.Time, set audit.Entry) error
	// DeleteUser erases an account and everything it owns, with the events that name it as their user, waiting mail to
	// its address, and the networks in its audit entries. It returns ErrNotFound for an unknown id.
	DeleteUser(ctx context.Context, userID string, deleted audit.Entry) error

	// CreateExchangeCode keeps a code. It returns ErrNotFound when its user is unknown.
	CreateExchangeCode(ctx context.Context, c ExchangeCode) error
	// TakeExchangeCode deletes a code and returns it: of two at once one gets it. It returns ErrNotFound for one that is
	// unknown, or expired at now.
	TakeExchangeCode(ctx context.Context, hash [sha256.Size]byte, now time.Time) (ExchangeCode, error)
	// LinkIdentity gives an account an identity; one that it has is updated. It returns ErrIdentityTaken when another
	// account has it, and ErrNotFound for an unknown account.
	LinkIdentity(ctx context.Context, i Identity, linked audit.Entry) error

	// CreateActionToken keeps a token, and writes requested. It returns ErrNotFound when its user is unknown.
	CreateActionToken(ctx context.Context, t ActionToken, requested audit.Entry) error
	// VerifyEmail spends a token of kind mail.KindVerifyEmail, and notes that the account's e-mail is verified. It returns
	// ErrNotFound for a token that is unknown, used, or expired at the time of the entry.
	VerifyEmail(ctx context.Context, hash [sha256.Size]byte, verified audit.Entry) error
	// ActionUser returns the account of a token that could be spent at now, else ErrNotFound.
	ActionUser(ctx context.Context, kind mail.Kind, hash [sha256.Size]byte, now time.Time) (User, error)
	// ResetPassword spends a token of kind mail.KindResetPassword and voids all others of it of the account, sets the password,
	// notes that the e-mail is verified, revokes all sessions and deletes exchange codes. If the e-mail was not verified before,
	// whoever used the account until then had not shown that the address is theirs: its identities are removed and its API
	// keys revoked. All in one transaction. It returns ErrNotFound as VerifyEmail does.
	ResetPassword(ctx context.Context, hash [sha256.Size]byte, passwordHash string, reset audit.Entry) error
}
