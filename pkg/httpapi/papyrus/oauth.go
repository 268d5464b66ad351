package papyrus

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/secret"
)

// CallbackPath is where the provider sends users back to, below the prefix of the API.
const CallbackPath = "/auth/oauth/google/callback"

// The cookie of a sign-in, one a state: several may be under way in one browser.
const (
	stateCookie      = "papyrus_oauth_"
	hostCookiePrefix = "__Host-" // of this host alone, set over https alone (RFC 6265bis §4.1.3.2)
	stateCookieLife  = 600       // seconds
	stateNameLen     = 16        // characters of the state in the cookie's name
)

var stateForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// The codes of failures that the app is told of, beside those of package oidc (contract: papyrus, section 3).
const (
	codeAccountExists   = "account_exists"
	codeAccountDisabled = "account_disabled"
)

// startSignIn serves GET /v1/auth/oauth/google/start?redirect_uri=&code_challenge=: 302 to the provider. Codes: VALIDATION_ERROR, with
// 400, RATE_LIMITED, SERVICE_UNAVAILABLE while the provider is away.
func (a api) startSignIn(c echo.Context) error {
	query, err := singleQuery(c)
	if err != nil {
		return err
	}
	started, err := a.start(c, oidc.StartRequest{
		RedirectURI: query.Get("redirect_uri"), CodeChallenge: query.Get("code_challenge"),
		CodeChallengeMethod: query.Get("code_challenge_method"),
	})
	if err != nil {
		return err
	}
	c.SetCookie(a.newStateCookie(started.State, started.Browser.Reveal(), stateCookieLife))
	return redirect(c, started.AuthorizationURL)
}

// startLink serves POST /v1/auth/link/google/start: {redirect_uri, code_challenge?, code_challenge_method?} to 200
// {authorization_url}. Codes: VALIDATION_ERROR, with 400 as startSignIn has it, RATE_LIMITED, SERVICE_UNAVAILABLE.
func (a api) startLink(c echo.Context, who account.Principal) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	r := oidc.StartRequest{
		RedirectURI: f.text("redirect_uri"), CodeChallenge: f.optional("code_challenge"),
		CodeChallengeMethod: f.optional("code_challenge_method"), UserID: who.UserID,
	}
	if err := f.refusal(); err != nil {
		return err
	}
	started, err := a.start(c, r)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, authorization{started.AuthorizationURL})
}

func (a api) start(c echo.Context, r oidc.StartRequest) (oidc.Started, error) {
	if a.Flow == nil {
		return oidc.Started{}, errNoProvider
	}
	if err := a.attempts.Admit(c, ratelimit.OAuthStart); err != nil {
		return oidc.Started{}, err
	}
	return a.Flow.Start(c.Request().Context(), r)
}

// callback serves GET /v1/auth/oauth/google/callback?state=&code=&error=: 302 to the app with ?code=, or with ?error= where the
// sign-in failed. Codes: VALIDATION_ERROR, with 400 where no state of this browser says which app.
func (a api) callback(c echo.Context) error {
	httpapi.NoStore(c)
	query, err := singleQuery(c)
	if err != nil {
		return err
	}
	if a.Flow == nil {
		return errNoProvider
	}
	state := query.Get("state")
	outcome, err := a.Flow.Finish(c.Request().Context(), oidc.Callback{
		State: state, Code: query.Get("code"), Error: query.Get("error"), Browser: a.takeStateCookie(c, state),
	})
	if failure, ok := errors.AsType[*oidc.RedirectError](err); ok {
		return a.redirectFailure(c, failure)
	}
	if err != nil {
		return err
	}
	code, err := a.conclude(c.Request().Context(), outcome)
	if err != nil {
		return a.redirectFailure(c, &oidc.RedirectError{RedirectURI: outcome.RedirectURI, Code: failureCode(err), Err: err})
	}
	return redirect(c, oidc.AppRedirect(outcome.RedirectURI, url.Values{"code": {code.Reveal()}}))
}

// conclude returns the code with which the app goes on.
func (a api) conclude(ctx context.Context, at oidc.Outcome) (secret.Text, error) {
	if at.UserID != "" {
		return a.Accounts.OfferIdentity(ctx, at)
	}
	return a.Accounts.AdmitIdentity(ctx, at)
}

func failureCode(err error) string {
	switch {
	case errors.Is(err, account.ErrEmailTaken):
		return codeAccountExists
	case errors.Is(err, account.ErrDisabled):
		return codeAccountDisabled
	}
	return oidc.CodeExchangeFailed
}

// redirectFailure tells the app of a failure, and the log of its cause.
func (a api) redirectFailure(c echo.Context, failure *oidc.RedirectError) error {
	level := slog.LevelInfo
	if failure.Code == oidc.CodeExchangeFailed { // the provider's fault or ours, not the user's
		level = slog.LevelWarn
	}
	a.Options.Log.Log(c.Request().Context(), level, "sign-in at the provider failed", "err", failure)
	return redirect(c, oidc.AppRedirect(failure.RedirectURI, url.Values{"error": {failure.Code}}))
}

// exchangeCode serves POST /v1/auth/exchange-code: {code, client_type?, device_label?, code_verifier?} to 200 AuthTokens. Codes:
// VALIDATION_ERROR, UNAUTHORIZED for every code that gives nothing, RATE_LIMITED.
func (a api) exchangeCode(c echo.Context) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	code, verifier, client := f.text("code"), f.optional("code_verifier"), f.client(c)
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, ratelimit.ExchangeCode); err != nil {
		return err
	}
	grant, err := a.Accounts.Exchange(c.Request().Context(), code, verifier, client)
	if err != nil {
		return err
	}
	return writeTokens(c, http.StatusOK, grant)
}

// completeLink serves POST /v1/auth/link/google/complete: {code, code_verifier?} to 200 User. Codes: VALIDATION_ERROR, with 400 for a
// code that gives nothing, FORBIDDEN for another user's, CONFLICT for an identity of another account, RATE_LIMITED.
func (a api) completeLink(c echo.Context, who account.Principal) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	code, verifier := f.text("code"), f.optional("code_verifier")
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, ratelimit.ExchangeCode); err != nil {
		return err
	}
	user, err := a.Accounts.LinkIdentity(c.Request().Context(), who, code, verifier)
	if errors.Is(err, account.ErrInvalidCode) {
		return errLinkCode.With(err) // a 401 would mean that the access token has expired
	}
	return writeUser(c, user, err)
}

// redirect sends a browser on. The address that it comes from, and the one that it goes to, are for nobody else.
func redirect(c echo.Context, to string) error {
	httpapi.NoStore(c)
	c.Response().Header().Set(echo.HeaderReferrerPolicy, "no-referrer")
	return c.Redirect(http.StatusFound, to)
}

// singleQuery returns the query, unless it is malformed or repeats a parameter: who looks at the first and who looks at the
// last would see different requests.
func singleQuery(c echo.Context) (url.Values, error) {
	query, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return nil, errQuery.With(err)
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, errQuery
		}
	}
	return query, nil
}

// newStateCookie returns the cookie that binds a state to the browser, or with a life below 0 the order to forget it.
func (a api) newStateCookie(state, value string, life int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever it can be: http is for loopback
		Name: a.stateCookieName(state), Value: value, Path: "/", MaxAge: life,
		Secure: a.isSecure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// takeStateCookie returns what the browser kept of a state, unset if nothing, and has it forgotten.
func (a api) takeStateCookie(c echo.Context, state string) secret.Text {
	if !stateForm.MatchString(state) {
		return secret.Text{}
	}
	kept, err := c.Cookie(a.stateCookieName(state))
	if err != nil {
		return secret.Text{}
	}
	c.SetCookie(a.newStateCookie(state, "", -1))
	return secret.New(kept.Value)
}

func (a api) stateCookieName(state string) string {
	name := stateCookie + state[:stateNameLen]
	if a.isSecure() {
		return hostCookiePrefix + name
	}
	return name
}

// isSecure reports whether browsers come over https. Without it they come from this machine.
func (a api) isSecure() bool { return a.PublicBaseURL.Scheme == "https" }
