package supabase

import (
	"context"
	"errors"
	"net/http"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/text"
)

var (
	_ provision.IdentityProvider = (*Client)(nil)
	_ provision.Validator        = (*Client)(nil)
	_ provision.KeyIssuer        = (*Client)(nil)
)

type user struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// authReply is a session, or where the e-mail has to be confirmed first the user alone.
type authReply struct {
	user
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
	User         user   `json:"user"`
}

func (r authReply) grant() (provision.Grant, error) {
	who := r.user
	if r.AccessToken != "" {
		who = r.User
	}
	if who.ID == "" {
		return provision.Grant{}, provision.ErrIdentityUnavailable.With(errors.New("the provider's answer names no user"))
	}
	return provision.Grant{
		UserID: who.ID, Email: who.Email, ExpiresIn: r.ExpiresIn,
		JWT: secret.New(r.AccessToken), RefreshToken: secret.New(r.RefreshToken),
	}, nil
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// SignUp implements [provision.IdentityProvider] by POST /auth/v1/signup.
func (c *Client) SignUp(ctx context.Context, in provision.Credentials) (provision.Grant, error) {
	return c.authenticate(ctx, "/auth/v1/signup", in)
}

// SignIn implements [provision.IdentityProvider] by POST /auth/v1/token?grant_type=password.
func (c *Client) SignIn(ctx context.Context, in provision.Credentials) (provision.Grant, error) {
	grant, err := c.authenticate(ctx, "/auth/v1/token?grant_type=password", in)
	if err == nil && grant.ConfirmationRequired() {
		return provision.Grant{}, provision.ErrIdentityUnavailable.With(errors.New("the provider's answer has no token"))
	}
	return grant, err
}

func (c *Client) authenticate(ctx context.Context, path string, in provision.Credentials) (provision.Grant, error) {
	var reply authReply
	body := credentials{Email: in.Email, Password: in.Password.Reveal()}
	if err := c.do(ctx, call{method: http.MethodPost, path: path, in: body}, &reply); err != nil {
		return provision.Grant{}, identityError(err)
	}
	return reply.grant()
}

// wouldTell are the refusals that only an account, or none, gets: passed on, they would tell whether there is one.
var wouldTell = map[string]bool{
	"user_not_found": true, "user_banned": true, "email_address_not_authorized": true, "over_email_send_rate_limit": true,
}

// Recover implements [provision.IdentityProvider] by POST /auth/v1/recover.
func (c *Client) Recover(ctx context.Context, email string) error {
	body := map[string]string{"email": email}
	err := c.do(ctx, call{method: http.MethodPost, path: "/auth/v1/recover", in: body}, &struct{}{})
	if said, ok := errors.AsType[*refusal](err); err == nil || ok && wouldTell[said.Code] {
		return nil
	}
	return identityError(err)
}

// identityErrors gives the contract's word for each of the provider's codes that has one.
var identityErrors = map[string]*apierror.Error{
	"user_already_exists":     provision.ErrEmailTaken,
	"email_exists":            provision.ErrEmailTaken,
	"weak_password":           provision.ErrWeakPassword,
	"invalid_credentials":     provision.ErrInvalidCredentials,
	"invalid_grant":           provision.ErrInvalidCredentials,
	"user_banned":             provision.ErrInvalidCredentials,
	"email_not_confirmed":     provision.ErrEmailNotConfirmed,
	"signup_disabled":         provision.ErrSignupDisabled,
	"email_provider_disabled": provision.ErrSignupDisabled,
}

func identityError(err error) error {
	said, ok := errors.AsType[*refusal](err)
	switch {
	case !ok:
		return unreachable(err)
	case said.Status == http.StatusTooManyRequests:
		return rateLimited(said)
	case said.Status < 400 || said.Status > 499:
		return unavailable(said)
	}
	known, ok := identityErrors[said.Code]
	if !ok {
		return provision.ErrIdentityRefused.With(said)
	}
	out := known.With(said)
	if known == provision.ErrWeakPassword && text.IsLine(said.Message, 200) {
		out.Message = said.Message // names the rule of the provider's policy
	}
	return out
}

func rateLimited(said *refusal) error {
	out := provision.ErrRateLimited.With(said)
	if said.RetryAfter > 0 {
		out.RetryAfter = said.RetryAfter
	}
	return out
}

// unavailable keeps the provider's own word on when to try again, as in an overload.
func unavailable(said *refusal) error {
	out := provision.ErrIdentityUnavailable.With(said)
	out.RetryAfter = said.RetryAfter
	return out
}

// unreachable tells a provider that did not answer in time from one that could not be reached or understood.
func unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return provision.ErrIdentityTimeout.With(err)
	}
	return provision.ErrIdentityUnavailable.With(err)
}

// Validate implements [provision.Validator] by GET /auth/v1/user, which honours revocation. The provider's 401 and 403
// alike mean a bad token.
func (c *Client) Validate(ctx context.Context, jwt string) (provision.Identity, error) {
	var who user
	err := c.do(ctx, call{method: http.MethodGet, path: "/auth/v1/user", bearer: jwt}, &who)
	if said, ok := errors.AsType[*refusal](err); ok {
		if said.Status == http.StatusUnauthorized || said.Status == http.StatusForbidden {
			return provision.Identity{}, provision.ErrInvalidAuth.With(said)
		}
		return provision.Identity{}, unavailable(said)
	}
	if err != nil {
		return provision.Identity{}, unreachable(err)
	}
	if who.ID == "" {
		return provision.Identity{}, provision.ErrIdentityUnavailable.With(errors.New("the provider's answer names no user"))
	}
	return provision.Identity{UserID: who.ID}, nil
}
