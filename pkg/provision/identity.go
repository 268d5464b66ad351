package provision

import (
	"context"

	"github.com/provisioner/provisioner/pkg/secret"
)

// Grant is what signing up or in gives a user.
type Grant struct {
	UserID       string
	Email        string
	JWT          secret.Text // unset where the provider wants the e-mail confirmed first
	RefreshToken secret.Text
	ExpiresIn    int // of the JWT, in seconds
}

// ConfirmationRequired reports whether the user has to confirm the e-mail before signing in.
func (g Grant) ConfirmationRequired() bool { return !g.JWT.IsSet() }

// Credentials are what a user signs up or in with.
type Credentials struct {
	Email    string
	Password secret.Text
}

// IdentityProvider keeps the users' accounts. Its errors are those of this package: ErrEmailTaken, ErrWeakPassword,
// ErrInvalidCredentials, ErrEmailNotConfirmed, ErrSignupDisabled, ErrIdentityRefused, ErrRateLimited,
// ErrIdentityUnavailable, ErrIdentityTimeout.
type IdentityProvider interface {
	SignUp(ctx context.Context, c Credentials) (Grant, error)
	SignIn(ctx context.Context, c Credentials) (Grant, error)
	// Recover sends a mail to reset the password, if the address has an account.
	Recover(ctx context.Context, email string) error
}
