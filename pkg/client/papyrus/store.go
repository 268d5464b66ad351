package papyrus

import (
	"context"
	"time"

	"github.com/provisioner/provisioner/pkg/secret"
)

// User is the profile of an account.
type User struct {
	ID            string    `json:"user_id"`
	Email         string    `json:"email"`
	DisplayName   string    `json:"display_name"`
	AvatarURL     string    `json:"avatar_url"` // "" for none
	EmailVerified bool      `json:"email_verified"`
	CreatedAt     time.Time `json:"created_at"`
	LastLoginAt   time.Time `json:"last_login_at,omitzero"`
}

// Account is what is kept of a sign-in: the refresh token, and whose it is, to be known without a network. The zero Account is none.
type Account struct {
	RefreshToken secret.Text
	User         User
}

// TokenStore keeps the account that is signed in on a device. Several processes, and several repositories of one process, may share it.
type TokenStore interface {
	// Lock waits until nobody else holds the lock, in this process or another, and takes it until unlock is called. The lock of a process
	// that dies is free.
	Lock(ctx context.Context) (unlock func(), err error)
	// Load returns the account, the zero one where nobody is signed in. With an error it still has the user, if that is known.
	Load(ctx context.Context) (Account, error)
	// Save replaces the account. The caller holds the lock.
	Save(ctx context.Context, a Account) error
	// Clear forgets the account. The caller holds the lock.
	Clear(ctx context.Context) error
}
