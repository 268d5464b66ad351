package papyrus

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/secret"
)

// me serves GET /v1/users/me: 200 User.
func (a api) me(c echo.Context, who account.Principal) error {
	user, err := a.Accounts.User(c.Request().Context(), who)
	return writeUser(c, user, err)
}

// updateMe serves PATCH /v1/users/me: {display_name?, avatar_url?}, of which null clears the avatar, to 200 User. Codes:
// VALIDATION_ERROR.
func (a api) updateMe(c echo.Context, who account.Principal) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	var change account.ProfileChange
	if f.has("display_name") {
		name := f.displayName()
		change.DisplayName = &name
	}
	change.AvatarURL = f.avatar()
	if err := f.refusal(); err != nil {
		return err
	}
	user, err := a.Accounts.UpdateProfile(c.Request().Context(), who, change)
	return writeUser(c, user, err)
}

// deleteMe serves DELETE /v1/users/me: {password}, or of an account without one nothing, to 204. Codes: VALIDATION_ERROR, with 400 for
// a wrong password, FORBIDDEN for an account without a password whose sign-in is older than five minutes, RATE_LIMITED.
func (a api) deleteMe(c echo.Context, who account.Principal) error {
	f, err := a.optionalForm(c)
	if err != nil {
		return err
	}
	pass := secret.New(f.optional("password"))
	if err := f.refusal(); err != nil {
		return err
	}
	err = a.guess(c, who, func(ctx context.Context) error { return a.Accounts.Delete(ctx, who, pass) })
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// changePassword serves POST /v1/users/me/change-password: {current_password, new_password} to 200 Message; the other sessions end.
// Codes: VALIDATION_ERROR, with 400 for a wrong current password, CONFLICT, RATE_LIMITED, SERVICE_UNAVAILABLE.
func (a api) changePassword(c echo.Context, who account.Principal) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	current, replacement := secret.New(f.text("current_password")), secret.New(f.text("new_password"))
	if err := f.refusal(); err != nil {
		return err
	}
	err = a.guess(c, who, func(ctx context.Context) error {
		return a.Accounts.ChangePassword(ctx, who, current, replacement)
	})
	if err != nil {
		return weak("new_password", err)
	}
	return writeMessage(c, "The password is changed")
}

// guess tries a password that may be a guess of somebody with a stolen access token. It counts with the sign-ins of the
// account. A wrong one is 400: to clients a 401 means that their access token has expired.
func (a api) guess(c echo.Context, who account.Principal, try func(context.Context) error) error {
	user, err := a.Accounts.User(c.Request().Context(), who)
	if err != nil {
		return err
	}
	err = a.attempts.SignIn(c, user.Email, account.ErrInvalidCredentials, try)
	if errors.Is(err, account.ErrInvalidCredentials) {
		return errWrongPassword.With(err)
	}
	return err
}

// preferences serves GET /v1/users/me/preferences: 200 and the object that was put, at first {}.
func (a api) preferences(c echo.Context, who account.Principal) error {
	object, err := a.Accounts.Preferences(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return httpapi.WriteRaw(c, http.StatusOK, object)
}

// setPreferences serves PUT /v1/users/me/preferences: any object of at most 16 KiB to 200 and the same. Codes: VALIDATION_ERROR.
func (a api) setPreferences(c echo.Context, who account.Principal) error {
	object, err := httpapi.ReadBody(c, a.BodyLimit)
	if err != nil {
		return err
	}
	if err := a.Accounts.SetPreferences(c.Request().Context(), who, object); err != nil {
		return err
	}
	return httpapi.WriteRaw(c, http.StatusOK, object)
}
