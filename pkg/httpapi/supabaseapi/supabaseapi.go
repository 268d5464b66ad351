// Package supabaseapi answers the Supabase API over our own accounts, as far as sender, receiver and Supabase's client
// library need it (contract: provisioning, section 7; papyrus, section 9).
package supabaseapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/strictjson"
	"github.com/provisioner/provisioner/pkg/token"
)

// Config is what the API is made of; every field is needed.
type Config struct {
	Accounts   *account.Service
	Keys       *apikey.Service
	AccessKeys token.Ring // that access tokens verify under
	Limiter    ratelimit.Limiter
	Auth       ratelimit.Limit // of sign-up, sign-in and recover
	BodyLimit  int64           // the longest body, in bytes
	Version    string
	Log        *slog.Logger
}

type api struct {
	Config
	auth    *middleware.Attempts
	mailOff *sync.Once // says in the log that no mail is sent
}

// Mount returns a function that adds the API's routes.
func Mount(c Config) func(*echo.Echo) {
	a := api{Config: c, auth: middleware.NewAttempts(ratelimit.NewAttempts(c.Limiter, c.Auth)), mailOff: new(sync.Once)}
	return func(e *echo.Echo) {
		e.POST("/auth/v1/signup", a.signUp)
		e.POST("/auth/v1/token", a.token)
		httpapi.Read(e, "/auth/v1/user", a.user)
		e.POST("/auth/v1/logout", a.logout)
		e.POST("/auth/v1/recover", a.recover)
		httpapi.Read(e, "/auth/v1/health", a.health)
		httpapi.Read(e, "/auth/v1/settings", a.settings)
		httpapi.Read(e, "/auth/v1/.well-known/jwks.json", a.jwks)
		e.POST("/functions/v1/api-keys-create", a.createKey)
	}
}

// Refusals of Supabase Auth, as measured.
var (
	errBadJSON            = apierror.New(http.StatusBadRequest, "bad_json", "Could not parse request body as JSON")
	errNoEmail            = apierror.New(http.StatusBadRequest, "validation_failed", "To signup, please provide your email")
	errInvalidEmail       = apierror.New(http.StatusBadRequest, "validation_failed", "Unable to validate email address: invalid format")
	errInvalidName        = apierror.New(http.StatusBadRequest, "validation_failed", "display_name must be 1 to 100 characters without control characters")
	errNoPassword         = apierror.New(http.StatusBadRequest, "validation_failed", "Signup requires a valid password")
	errGrantType          = apierror.New(http.StatusBadRequest, "validation_failed", "grant_type must be password or refresh_token")
	errScope              = apierror.New(http.StatusBadRequest, "validation_failed", "scope must be global, local or others")
	errUserExists         = apierror.New(http.StatusUnprocessableEntity, "user_already_exists", "User already registered")
	errInvalidCredentials = apierror.New(http.StatusBadRequest, "invalid_credentials", "Invalid login credentials")
	errBanned             = apierror.New(http.StatusBadRequest, "user_banned", "User is banned")
	errRefreshToken       = apierror.New(http.StatusBadRequest, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
	errNoAuthorization    = apierror.New(http.StatusUnauthorized, "no_authorization", "This endpoint requires a valid Bearer token")
	errBadJWT             = apierror.New(http.StatusForbidden, "bad_jwt", "invalid JWT")
	errUserNotFound       = apierror.New(http.StatusForbidden, "user_not_found", "User from sub claim in JWT does not exist")
	errUserBanned         = apierror.New(http.StatusForbidden, "user_banned", "User is banned")
	errSessionNotFound    = apierror.New(http.StatusForbidden, "session_not_found", "Session from session_id claim in JWT does not exist")
)

// authRequest is the body of signup, token and recover.
type authRequest struct {
	Email        strictjson.Text `json:"email"`
	Password     strictjson.Text `json:"password"`
	RefreshToken strictjson.Text `json:"refresh_token"`
	Data         struct {
		DisplayName strictjson.Text `json:"display_name"`
	} `json:"data"`
}

func (a api) decode(c echo.Context) (authRequest, error) {
	var in authRequest
	body, err := httpapi.ReadBody(c, a.BodyLimit)
	if err != nil {
		return in, err
	}
	if err := strictjson.UnmarshalObject(body, &in); err != nil {
		return in, errBadJSON.With(err)
	}
	return in, nil
}

// signUp serves POST /auth/v1/signup: {email, password, data?: {display_name}} to 200 and a session.
func (a api) signUp(c echo.Context) error {
	in, err := a.decode(c)
	switch {
	case err != nil:
		return err
	case in.Email.Value == "":
		return errNoEmail
	case in.Password.Value == "":
		return errNoPassword
	}
	if _, ok := account.NormalizeEmail(in.Email.Value); !ok {
		return errInvalidEmail
	}
	if err := a.auth.Admit(c, ratelimit.SignUp); err != nil {
		return err
	}

	grant, err := a.Accounts.Register(c.Request().Context(), account.Registration{
		Email: in.Email.Value, Password: secret.New(in.Password.Value), DisplayName: in.Data.DisplayName.Value, Client: client(c),
	})
	if err != nil {
		return signUpError(err)
	}
	return a.writeSession(c, grant)
}

func signUpError(err error) error {
	if weak, ok := errors.AsType[*password.WeakError](err); ok {
		return apierror.New(http.StatusUnprocessableEntity, "weak_password", weak.Reason)
	}
	switch {
	case errors.Is(err, account.ErrEmailTaken):
		return errUserExists
	case errors.Is(err, account.ErrInvalidEmail):
		return errInvalidEmail
	case errors.Is(err, account.ErrInvalidDisplayName):
		return errInvalidName
	}
	return err
}

// token serves POST /auth/v1/token?grant_type=password|refresh_token: to 200 and a session.
func (a api) token(c echo.Context) error {
	in, err := a.decode(c)
	if err != nil {
		return err
	}
	switch c.QueryParam("grant_type") {
	case "password":
		return a.passwordGrant(c, in)
	case "refresh_token":
		return a.refreshGrant(c, in)
	}
	return errGrantType
}

func (a api) passwordGrant(c echo.Context, in authRequest) error {
	if in.Email.Value == "" || in.Password.Value == "" {
		return errInvalidCredentials
	}
	var grant account.Grant
	err := a.auth.SignIn(c, in.Email.Value, account.ErrInvalidCredentials, func(ctx context.Context) (err error) {
		grant, err = a.Accounts.SignIn(ctx, in.Email.Value, secret.New(in.Password.Value), client(c))
		return err
	})
	switch {
	case errors.Is(err, account.ErrInvalidCredentials):
		return errInvalidCredentials.With(err)
	case errors.Is(err, account.ErrDisabled):
		return errBanned
	case err != nil:
		return err
	}
	return a.writeSession(c, grant)
}

func (a api) refreshGrant(c echo.Context, in authRequest) error {
	grant, err := a.Accounts.Refresh(c.Request().Context(), in.RefreshToken.Value)
	switch {
	case errors.Is(err, session.ErrInvalidToken):
		return errRefreshToken.With(err)
	case err != nil:
		return err
	}
	return a.writeSession(c, grant)
}

// user serves GET /auth/v1/user: the bearer's user object.
func (a api) user(c echo.Context) error {
	who, err := a.authenticate(c)
	if err != nil {
		return err
	}
	found, err := a.Accounts.User(c.Request().Context(), who)
	if errors.Is(err, account.ErrNotFound) {
		return errUserNotFound
	}
	if err != nil {
		return err
	}
	ways, err := a.waysIn(c.Request().Context(), found)
	if err != nil {
		return err
	}
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusOK, newUser(found, ways))
}

// authenticate returns who makes the request, or the refusal that Supabase gives.
func (a api) authenticate(c echo.Context) (account.Principal, error) {
	bearer := httpapi.Bearer(c)
	if bearer == "" {
		return account.Principal{}, errNoAuthorization
	}
	who, err := a.Accounts.Authenticate(c.Request().Context(), bearer)
	switch {
	case errors.Is(err, token.ErrInvalid):
		return account.Principal{}, errBadJWT.With(err)
	case errors.Is(err, account.ErrNotFound):
		return account.Principal{}, errUserNotFound
	case errors.Is(err, account.ErrDisabled):
		return account.Principal{}, errUserBanned
	case errors.Is(err, account.ErrSessionEnded):
		return account.Principal{}, errSessionNotFound
	}
	return who, err
}

var scopes = map[string]session.Scope{
	"": session.Global, "global": session.Global, "local": session.Local, "others": session.Others,
}

// logout serves POST /auth/v1/logout?scope=global|local|others: 204.
func (a api) logout(c echo.Context) error {
	scope, ok := scopes[c.QueryParam("scope")]
	if !ok {
		return errScope
	}
	who, err := a.authenticate(c)
	if err != nil {
		return err
	}
	if err := a.Accounts.SignOut(c.Request().Context(), who, scope); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// recover serves POST /auth/v1/recover: {email} to 200 {}, whether or not the address has an account, and this server sends mail.
func (a api) recover(c echo.Context) error {
	in, err := a.decode(c)
	if err != nil {
		return err
	}
	if _, ok := account.NormalizeEmail(in.Email.Value); !ok {
		return errInvalidEmail
	}
	if err := a.auth.Admit(c, ratelimit.ForgotPassword); err != nil {
		return err
	}
	err = a.Accounts.RequestMail(c.Request().Context(), mail.KindResetPassword, in.Email.Value)
	if errors.Is(err, account.ErrMailOff) {
		a.mailOff.Do(func() {
			a.Log.WarnContext(c.Request().Context(), "password reset was asked for, but this server sends no mail")
		})
		err = nil
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, struct{}{})
}

// client describes the caller's device by its User-Agent.
func client(c echo.Context) session.Client {
	return session.Client{Type: "unknown", DeviceLabel: c.Request().UserAgent()}
}
