package papyrus

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
)

// register serves POST /v1/auth/register: {email, password, display_name, client_type?, device_label?} to 201 AuthTokens. Codes:
// VALIDATION_ERROR, CONFLICT for an e-mail that has an account, RATE_LIMITED, SERVICE_UNAVAILABLE.
func (a api) register(c echo.Context) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	r := account.Registration{Email: f.email(), Password: secret.New(f.text("password"))}
	if reason := a.Accounts.CheckPassword(r.Password, r.Email); reason != nil && r.Password.IsSet() {
		f.refuse("password", reason.Error())
	}
	r.DisplayName, r.Client = f.displayName(), f.client(c)
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, ratelimit.SignUp); err != nil {
		return err
	}
	grant, err := a.Accounts.Register(c.Request().Context(), r)
	if err != nil {
		return err
	}
	return writeTokens(c, http.StatusCreated, grant)
}

// login serves POST /v1/auth/login: {email, password, client_type?, device_label?} to 200 AuthTokens. Codes: VALIDATION_ERROR,
// UNAUTHORIZED, ACCOUNT_DISABLED, RATE_LIMITED, SERVICE_UNAVAILABLE.
func (a api) login(c echo.Context) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	email, pass, client := f.email(), secret.New(f.text("password")), f.client(c)
	if err := f.refusal(); err != nil {
		return err
	}
	var grant account.Grant
	err = a.attempts.SignIn(c, email, account.ErrInvalidCredentials, func(ctx context.Context) (err error) {
		grant, err = a.Accounts.SignIn(ctx, email, pass, client)
		return err
	})
	if err != nil {
		return err
	}
	return writeTokens(c, http.StatusOK, grant)
}

// refresh serves POST /v1/auth/refresh: {refresh_token} to 200 AuthTokens. Codes: VALIDATION_ERROR, UNAUTHORIZED. It has no rate
// limit: shipped clients throw their tokens away when it fails.
func (a api) refresh(c echo.Context) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	presented := f.text("refresh_token")
	if err := f.refusal(); err != nil {
		return err
	}
	grant, err := a.Accounts.Refresh(c.Request().Context(), presented)
	if err != nil {
		return err
	}
	return writeTokens(c, http.StatusOK, grant)
}

// logout serves POST /v1/auth/logout: {all_devices?} or nothing to 204. Codes: VALIDATION_ERROR.
func (a api) logout(c echo.Context, who account.Principal) error {
	f, err := a.optionalForm(c)
	if err != nil {
		return err
	}
	scope := session.Local
	if f.flag("all_devices") {
		scope = session.Global
	}
	if err := f.refusal(); err != nil {
		return err
	}
	return a.signOut(c, who, scope)
}

// logoutAll serves POST /v1/auth/logout-all: nothing to 204. Codes: VALIDATION_ERROR.
func (a api) logoutAll(c echo.Context, who account.Principal) error {
	if _, err := a.optionalForm(c); err != nil {
		return err
	}
	return a.signOut(c, who, session.Global)
}

func (a api) signOut(c echo.Context, who account.Principal, scope session.Scope) error {
	if err := a.Accounts.SignOut(c.Request().Context(), who, scope); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
