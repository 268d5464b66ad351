// Package oidc signs users in with Google or any other OpenID Connect provider, as its relying party (contract: papyrus,
// section 3; OpenID Connect Core 1.0 §3.1). It says who somebody is at the provider; whose account that is, the caller decides.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	stateLife  = 10 * time.Minute // from Start to Finish: a user may have to find a password first
	secretLen  = 32               // bytes of randomness in a state and a browser secret
	maxCodeLen = 4096             // of the provider's authorization code, in bytes
)

// Refusals of a [Flow]. They are read-only; With gives a copy with its cause.
var (
	ErrRedirectNotAllowed = apierror.New(http.StatusBadRequest, apierror.InvalidField, "redirect_uri is not allowed")
	ErrInvalidChallenge   = apierror.New(http.StatusBadRequest, apierror.InvalidField, "code_challenge must be 43 characters of base64url, its method S256")
	ErrState              = apierror.New(http.StatusBadRequest, apierror.InvalidField, "state is unknown, expired, used before or of another browser")
)

// The codes of a [RedirectError] that are not the provider's own.
const (
	CodeMissingCode    = "missing_code"
	CodeExchangeFailed = "exchange_failed"
)

// Flow takes users to the provider and back: each Start is answered by at most one Finish. It is safe for concurrent use.
type Flow struct {
	provider  *Provider
	redirects *Redirects
	store     Store
	now       func() time.Time
}

// NewFlow returns a Flow that ends at one of redirects.
func NewFlow(provider *Provider, redirects *Redirects, store Store, now func() time.Time) *Flow {
	return &Flow{provider: provider, redirects: redirects, store: store, now: now}
}

// StartRequest is what an app sends to begin.
type StartRequest struct {
	RedirectURI         string // where the app waits for the end
	CodeChallenge       string // of the app's own PKCE; "" for none
	CodeChallengeMethod string // "S256", or "" which means the same; other methods are refused
	UserID              string // who links an identity; "" signs in
}

// Started is a flow on its way.
type Started struct {
	AuthorizationURL string      // where the user's browser goes next
	State            string      // that the provider will send back: 43 characters of base64url
	Browser          secret.Text // to be kept by this browser alone and brought to Finish, 43 such characters; unset for a link
}

// Start begins a flow, good for ten minutes. It returns ErrRedirectNotAllowed, ErrInvalidChallenge, ErrUnavailable while the
// provider is not known yet and does not answer, or an error that wraps ErrNotFound if the user who links is gone.
func (f *Flow) Start(ctx context.Context, r StartRequest) (Started, error) {
	if err := f.check(r); err != nil {
		return Started{}, err
	}

	started := Started{State: newSecret()}
	s := State{
		Hash: hash(started.State), RedirectURI: r.RedirectURI, CodeChallenge: r.CodeChallenge, UserID: r.UserID,
		Nonce: newSecret(), Verifier: oauth2.GenerateVerifier(), ExpiresAt: f.now().UTC().Add(stateLife),
	}
	if !s.isLink() {
		started.Browser = secret.New(newSecret())
		s.BrowserHash = hash(started.Browser.Reveal())
	}

	var err error
	if started.AuthorizationURL, err = f.provider.authorizationURL(ctx, started.State, s.Nonce, s.Verifier); err != nil {
		return Started{}, err
	}
	if err := f.store.CreateState(ctx, s); err != nil {
		return Started{}, fmt.Errorf("start sign-in: %w", err)
	}
	return started, nil
}

func (f *Flow) check(r StartRequest) error {
	challenged := r.CodeChallenge != ""
	if challenged && !isChallenge(r.CodeChallenge) {
		return ErrInvalidChallenge
	}
	if method := r.CodeChallengeMethod; method != "" && (method != methodS256 || !challenged) {
		return ErrInvalidChallenge
	}
	if !f.redirects.Allows(r.RedirectURI, challenged) {
		return ErrRedirectNotAllowed
	}
	return nil
}

// Callback is what the user's browser brings back from the provider.
type Callback struct {
	State   string
	Code    string
	Error   string      // the provider's, "" if there is a code
	Browser secret.Text // what this browser kept of Started, unset if nothing
}

// Outcome is a flow that came to a good end.
type Outcome struct {
	RedirectURI   string // of StartRequest, as are the next two
	CodeChallenge string
	UserID        string
	Identity      Identity
}

// RedirectError is a flow that failed at or after the provider. The app is told so at its redirect.
type RedirectError struct {
	RedirectURI string
	Code        string // 1 to 64 characters of an error of RFC 6749 §4.1.2.1: the provider's, CodeMissingCode or CodeExchangeFailed
	Err         error  // the cause, for the log; nil if Code says it all
}

// Error describes the failure for the log, the cause included.
func (e *RedirectError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("sign-in: %s: %v", e.Code, e.Err)
	}
	return "sign-in: " + e.Code
}

// Unwrap returns the cause.
func (e *RedirectError) Unwrap() error { return e.Err }

// Finish ends a flow, whose state is spent however it ends. It returns ErrState if there is no such flow, or if a sign-in was
// started by another browser: then nothing is known of an app that may be told. Everything later is a *RedirectError.
func (f *Flow) Finish(ctx context.Context, c Callback) (Outcome, error) {
	s, err := f.take(ctx, c)
	if err != nil {
		return Outcome{}, err
	}

	fail := func(code string, cause error) (Outcome, error) {
		return Outcome{}, &RedirectError{RedirectURI: s.RedirectURI, Code: code, Err: cause}
	}
	switch {
	case c.Error != "":
		return fail(providerCode(c.Error), nil)
	case c.Code == "":
		return fail(CodeMissingCode, nil)
	case len(c.Code) > maxCodeLen:
		return fail(CodeExchangeFailed, errors.New("the authorization code is too long"))
	}
	identity, err := f.provider.exchange(ctx, c.Code, s.Verifier, s.Nonce)
	if err != nil {
		return fail(CodeExchangeFailed, err)
	}
	return Outcome{RedirectURI: s.RedirectURI, CodeChallenge: s.CodeChallenge, UserID: s.UserID, Identity: identity}, nil
}

// take spends the state of a callback. A sign-in must end in the browser that began it, else somebody could have another sign
// in to the account of an attacker, or finish the attacker's flow. A link needs the user's access token at its end instead.
func (f *Flow) take(ctx context.Context, c Callback) (State, error) {
	if len(c.State) != base64.RawURLEncoding.EncodedLen(secretLen) {
		return State{}, ErrState
	}
	s, err := f.store.TakeState(ctx, hash(c.State), f.now().UTC())
	switch {
	case errors.Is(err, ErrNotFound):
		return State{}, ErrState.With(err)
	case err != nil:
		return State{}, fmt.Errorf("finish sign-in: %w", err)
	}

	browser := hash(c.Browser.Reveal())
	if !s.isLink() && subtle.ConstantTimeCompare(browser[:], s.BrowserHash[:]) != 1 {
		return State{}, ErrState.With(errors.New("started by another browser"))
	}
	return s, nil
}

// newSecret returns 32 random bytes as 43 characters of base64url.
func newSecret() string {
	raw := make([]byte, secretLen)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func hash(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

const (
	maxProviderCodeLen = 64
	otherProviderCode  = "server_error" // RFC 6749 §4.1.2.1, where nothing is left of the provider's own
)

// providerCode returns the provider's error as it may go on to the app: the characters of RFC 6749 §4.1.2.1, at most 64.
func providerCode(raw string) string {
	code := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, raw[:min(len(raw), maxProviderCodeLen)])
	if code == "" {
		return otherProviderCode
	}
	return code
}
