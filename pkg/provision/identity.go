package provision

import (
	"context"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/strictjson"
	"github.com/provisioner/provisioner/pkg/text"
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

// ParseCredentials reads the body of POST /signup and /signin, {"email","password"}. Its errors are JSON_PARSE_ERROR,
// MISSING_FIELDS and INVALID_EMAIL.
func ParseCredentials(body []byte) (Credentials, error) {
	var m struct {
		Email    strictjson.Text `json:"email"`
		Password strictjson.Text `json:"password"`
	}
	if err := strictjson.UnmarshalObject(body, &m); err != nil {
		return Credentials{}, ErrNotObject.With(err)
	}
	if missing := absent("email", m.Email, "password", m.Password); missing != nil {
		return Credentials{}, missingFields(missing...)
	}
	if !text.IsEmail(m.Email.Value) {
		return Credentials{}, ErrInvalidEmail
	}
	return Credentials{Email: m.Email.Value, Password: secret.New(m.Password.Value)}, nil
}

// ParseEmail reads the body of POST /forgot-password, {"email"}, with the errors of [ParseCredentials].
func ParseEmail(body []byte) (string, error) {
	var m struct {
		Email strictjson.Text `json:"email"`
	}
	if err := strictjson.UnmarshalObject(body, &m); err != nil {
		return "", ErrNotObject.With(err)
	}
	switch {
	case m.Email.Value == "":
		return "", missingFields("email")
	case !text.IsEmail(m.Email.Value):
		return "", ErrInvalidEmail
	}
	return m.Email.Value, nil
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
