// Package sender is the public edge: sign-up, sign-in, and requests that it forwards signed (contract: provisioning,
// section 2).
package sender

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/openapi"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

const (
	service = "api-provisioning-sender"
	// timestampForm is RFC 3339 in UTC to the millisecond.
	timestampForm = "2006-01-02T15:04:05.000Z"
	// recoverTime is how long an answer to /forgot-password takes at least: a provider answers sooner where there is no
	// account to send a mail to.
	recoverTime = time.Second
)

// Config is what the API is made of; every field is needed.
type Config struct {
	Options  httpapi.Options // Service, CORS and Dialect are set here
	Identity provision.IdentityProvider
	Sender   *provision.Sender
	Limiter  ratelimit.Limiter
	Auth     ratelimit.Limit // of sign-up, sign-in and forgot-password
	Send     ratelimit.Limit
	// BodyLimit is the longest body, in bytes.
	BodyLimit int64
	// ForwardTimeout is how long a request to /send may take in all.
	ForwardTimeout time.Duration
	Version        string
	Now            func() time.Time
}

type api struct {
	Config
	auth *middleware.Attempts
	send *middleware.Attempts
}

// New returns the sender's API.
func New(c Config) http.Handler {
	c.Options.Service, c.Options.CORS, c.Options.Dialect = "sender", httpapi.ProvisioningCORS, httpapi.FlatDialect
	a := api{
		Config: c,
		auth:   middleware.NewAttempts(ratelimit.NewAttempts(c.Limiter, c.Auth)),
		send:   middleware.NewAttempts(ratelimit.NewAttempts(c.Limiter, c.Send)),
	}
	e := httpapi.New(c.Options)
	httpapi.Read(e, "/health", a.health)
	e.POST("/signup", a.signUp)
	e.POST("/signin", a.signIn)
	e.POST("/forgot-password", a.forgotPassword)
	e.POST("/send", a.forward, middleware.Budget(c.ForwardTimeout))
	openapi.Mount(e, Document, "Provisioner: sender")
	return e
}

type health struct {
	OK        bool   `json:"ok"`
	Service   string `json:"service"`
	Version   string `json:"version"`
	Timestamp string `json:"timestamp"`
}

// health serves GET /health: 200 with the version and the time.
func (a api) health(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, health{true, service, a.Version, a.Now().UTC().Format(timestampForm)})
}

type grant struct {
	JWT                  string `json:"jwt,omitempty"`
	UserID               string `json:"userId"`
	Email                string `json:"email"`
	ConfirmationRequired bool   `json:"confirmationRequired,omitempty"`
	RefreshToken         string `json:"refreshToken,omitempty"`
	ExpiresIn            int    `json:"expiresIn,omitempty"`
}

func newGrant(g provision.Grant) grant {
	return grant{
		JWT: g.JWT.Reveal(), UserID: g.UserID, Email: g.Email, ConfirmationRequired: g.ConfirmationRequired(),
		RefreshToken: g.RefreshToken.Reveal(), ExpiresIn: g.ExpiresIn,
	}
}

// signUp serves POST /signup: {email, password} to 201 {jwt, userId, email}, or {userId, email, confirmationRequired} where
// the provider wants the e-mail confirmed first. Codes: INVALID_EMAIL, WEAK_PASSWORD, EMAIL_TAKEN, SIGNUP_DISABLED,
// IDENTITY_REFUSED.
func (a api) signUp(c echo.Context) error {
	in, err := read(c, a.BodyLimit, provision.ParseCredentials)
	if err != nil {
		return err
	}
	if err := a.auth.Admit(c, ratelimit.SignUp); err != nil {
		return err
	}
	g, err := a.Identity.SignUp(outgoing(c.Request().Context(), c), in)
	if err != nil {
		return a.refused(c, err)
	}
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusCreated, newGrant(g))
}

// signIn serves POST /signin: {email, password} to 200 {jwt, userId, email}. Codes: INVALID_CREDENTIALS,
// EMAIL_NOT_CONFIRMED, IDENTITY_REFUSED.
func (a api) signIn(c echo.Context) error {
	in, err := read(c, a.BodyLimit, provision.ParseCredentials)
	if err != nil {
		return err
	}
	var g provision.Grant
	err = a.auth.SignIn(c, in.Email, provision.ErrInvalidCredentials, func(ctx context.Context) (err error) {
		g, err = a.Identity.SignIn(outgoing(ctx, c), in)
		return err
	})
	if err != nil {
		return a.refused(c, err)
	}
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusOK, newGrant(g))
}

type done struct {
	OK bool `json:"ok"`
}

// forgotPassword serves POST /forgot-password: {email} to 200 {"ok":true}, whether or not the address has an account.
func (a api) forgotPassword(c echo.Context) error {
	email, err := read(c, a.BodyLimit, provision.ParseEmail)
	if err != nil {
		return err
	}
	if err := a.auth.Admit(c, ratelimit.ForgotPassword); err != nil {
		return err
	}

	ctx := outgoing(c.Request().Context(), c)
	soonest := time.NewTimer(recoverTime)
	defer soonest.Stop()
	err = a.Identity.Recover(ctx, email)
	select {
	case <-soonest.C:
	case <-ctx.Done():
	}
	if err != nil {
		return a.refused(c, err)
	}
	return httpapi.WriteJSON(c, http.StatusOK, done{OK: true})
}

// refused gives a 429 of the provider the headers that one of ours has.
func (a api) refused(c echo.Context, err error) error {
	e, ok := errors.AsType[*apierror.Error](err)
	if ok && e.Code == apierror.RateLimited && c.Response().Header().Get("RateLimit-Limit") == "" {
		middleware.SetRateLimit(c, ratelimit.Decision{Limit: a.Auth.Count, Reset: e.RetryAfter})
	}
	return err
}

// forward serves POST /send: a provision request or an event to the receiver's status and body. Codes: MISSING_FIELDS,
// INVALID_FIELD, UNKNOWN_ACTION, INVALID_AUTH, RECEIVER_UNREACHABLE, RECEIVER_MISCONFIGURED, RECEIVER_TIMEOUT, and the
// receiver's own.
func (a api) forward(c echo.Context) error {
	body, err := readBody(c, a.BodyLimit)
	if err != nil {
		return err
	}
	if _, err := provision.ParseRequest(body); err != nil {
		return err
	}
	idempotencyKey := c.Request().Header.Values("Idempotency-Key")
	if err := provision.CheckIdempotencyKey(idempotencyKey); err != nil {
		return err
	}
	if err := a.send.Admit(c, ratelimit.Send); err != nil {
		return err
	}

	out := provision.Outbound{Body: body, IdempotencyKey: strings.Join(idempotencyKey, "")} // one, or none
	reply, err := a.Sender.Forward(outgoing(c.Request().Context(), c), out)
	if err != nil {
		return err
	}
	if reply.RetryAfter != "" {
		c.Response().Header().Set("Retry-After", reply.RetryAfter)
	}
	if reply.Status == http.StatusUnauthorized { // the user's: a refusal of the signature is no reply
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
	}
	httpapi.NoStore(c)
	return httpapi.WriteRaw(c, reply.Status, reply.Body)
}

func readBody(c echo.Context, limit int64) ([]byte, error) {
	if err := httpapi.RequireJSON(c); err != nil {
		return nil, err
	}
	body, err := httpapi.ReadBody(c, limit)
	if err != nil {
		return nil, err
	}
	return body, httpapi.RequireIdentity(c) // trailers show only after the body
}

func read[T any](c echo.Context, limit int64, parse func([]byte) (T, error)) (T, error) {
	body, err := readBody(c, limit)
	if err != nil {
		var none T
		return none, err
	}
	return parse(body)
}

// outgoing is the context of the calls that a request causes.
func outgoing(ctx context.Context, c echo.Context) context.Context {
	return provision.WithClient(ctx, c.RealIP())
}
