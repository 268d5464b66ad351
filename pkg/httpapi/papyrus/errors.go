package papyrus

import (
	"errors"
	"net/http"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/token"
)

// Codes that only this API uses (contract: papyrus, section 1).
const (
	validationError apierror.Code = "VALIDATION_ERROR"
	unauthorized    apierror.Code = "UNAUTHORIZED"
	invalidToken    apierror.Code = "INVALID_TOKEN"
	sessionRevoked  apierror.Code = "SESSION_REVOKED"
	accountDisabled apierror.Code = "ACCOUNT_DISABLED"
	conflict        apierror.Code = "CONFLICT"
)

// Refusals of the API itself, and those that an endpoint gives in the place of the table's.
var (
	errNoToken       = apierror.New(http.StatusUnauthorized, unauthorized, "An access token is needed")
	errSessionEnded  = apierror.New(http.StatusUnauthorized, sessionRevoked, "The session has ended")
	errWrongPassword = apierror.New(http.StatusBadRequest, validationError, "The password is wrong")
	errLinkCode      = apierror.New(http.StatusBadRequest, validationError, "The code is unknown, used or expired")
	errNoProvider    = apierror.New(http.StatusBadRequest, validationError, "Sign-in with Google is not configured")
	errNoPowerSync   = apierror.New(http.StatusBadRequest, validationError, "PowerSync is not configured")
	errQuery         = apierror.New(http.StatusBadRequest, validationError, "The query is malformed, or has a parameter twice")
	errNotObject     = invalid("The body must be one JSON object, in UTF-8, with no name twice")
)

// refusals gives the contract's error for those of the domain. The first that matches holds.
var refusals = []struct {
	of error
	as *apierror.Error
}{
	{token.ErrInvalid, apierror.New(http.StatusUnauthorized, invalidToken, "The access token is invalid or expired")},
	{account.ErrSessionEnded, errSessionEnded},
	{account.ErrNotFound, errSessionEnded}, // the account was deleted since the access token was looked at
	{oidc.ErrNotFound, errSessionEnded},    // the same, where an identity is to be linked

	{account.ErrInvalidCredentials, apierror.New(http.StatusUnauthorized, unauthorized, "Invalid email or password")},
	{account.ErrDisabled, apierror.New(http.StatusForbidden, accountDisabled, "The account is disabled")},
	{account.ErrEmailTaken, apierror.New(http.StatusConflict, conflict, "An account with this email exists")},
	{session.ErrInvalidToken, apierror.New(http.StatusUnauthorized, unauthorized, "Invalid refresh token")},
	{session.ErrNotFound, apierror.New(http.StatusNotFound, apierror.NotFound, "There is no such session")},

	{account.ErrInvalidCode, apierror.New(http.StatusUnauthorized, unauthorized, "Invalid code")},
	{account.ErrForeignCode, apierror.New(http.StatusForbidden, apierror.Forbidden, "The code is another user's")},
	{account.ErrIdentityTaken, apierror.New(http.StatusConflict, conflict, "The identity is linked to another account")},

	{account.ErrInvalidToken, apierror.New(http.StatusBadRequest, validationError, "The token is unknown, used or expired")},
	{account.ErrMailOff, apierror.New(http.StatusServiceUnavailable, apierror.ServiceUnavailable, "This server sends no mail")},

	{account.ErrChanged, apierror.New(http.StatusConflict, conflict, "The password was changed meanwhile")},
	{account.ErrStaleSession, apierror.New(http.StatusForbidden, apierror.Forbidden, "Sign in again: the last sign-in must be at most 5 minutes ago")},
	{account.ErrInvalidEmail, invalid(wrongFields, badField{"email", notEmail})},
	{account.ErrInvalidDisplayName, invalid(wrongFields, badField{"display_name", notDisplayName})},
	{account.ErrInvalidAvatar, invalid(wrongFields, badField{"avatar_url", notAvatar})},
	{account.ErrInvalidPreferences, invalid("Preferences must be a JSON object of at most 16 KiB")},

	{library.ErrMalformed, errNoUpload},
	{library.ErrIncomplete, errIncomplete},
	{library.ErrNoUser, errSessionEnded},
	{library.ErrNotFound, apierror.New(http.StatusNotFound, apierror.NotFound, "There is no such dead letter")},

	{apikey.ErrNotFound, apierror.New(http.StatusNotFound, apierror.NotFound, "There is no such key")},
	{apikey.ErrNotRotatable, apierror.New(http.StatusConflict, conflict, "The key is revoked, has expired or was rotated before")},
	{apikey.ErrReused, apierror.New(http.StatusConflict, conflict, "The idempotency key was used for another request")},
}

// refusal gives err its face. What is none of the table's is a bug or an outage.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if _, faced := errors.AsType[*apierror.Error](err); faced {
		return err
	}
	for _, r := range refusals {
		if errors.Is(err, r.of) {
			return r.as.With(err)
		}
	}
	return err
}

// weak gives a password that is refused for its weakness the name of its field.
func weak(field string, err error) error {
	if e, ok := errors.AsType[*password.WeakError](err); ok {
		return invalid(wrongFields, badField{field, e.Reason})
	}
	return err
}
