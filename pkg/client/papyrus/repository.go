package papyrus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/text"
)

const (
	clientType       = "desktop"
	longestLabel     = 255
	longestToken     = 4096
	defaultDeviceTag = "provisioner"
	logoutPath       = "/v1/auth/logout"
	endTimeout       = 5 * time.Second // to end a session of which this device keeps nothing
)

// AuthRepository calls the server in the name of who is signed in on this device. It is safe for concurrent use.
type AuthRepository struct {
	config  Config
	server  *server
	store   TokenStore
	label   string
	flights singleflight.Group

	entering func() error  // called, with the lock of the store held, before a sign-in is kept; with an error it is not
	observe  func(outcome) // called after each outcome, in their order

	mu     sync.Mutex
	access accessToken
}

// accessToken is an access token and whose it is. The zero one is none.
type accessToken struct{ token, userID string }

// outcome is what a sign-in, a refresh or a sign-out found. With an error the user is the one who is kept, if that is known.
type outcome struct {
	user User
	err  error
}

// Option changes a default of an AuthRepository.
type Option func(*options)

type options struct {
	transport http.RoundTripper
	label     string
}

// WithTransport replaces the transport of HTTP requests.
func WithTransport(t http.RoundTripper) Option { return func(o *options) { o.transport = t } }

// WithDeviceLabel names this device in the list of sessions, in at most 255 bytes.
func WithDeviceLabel(label string) Option { return func(o *options) { o.label = label } }

// NewAuthRepository returns the repository of the server that c names, with what store keeps. It sends nothing.
func NewAuthRepository(c Config, store TokenStore, opts ...Option) (*AuthRepository, error) {
	o := options{transport: newTransport(), label: defaultDeviceTag}
	for _, opt := range opts {
		opt(&o)
	}
	var err error
	if c.APIBaseURL, err = baseURL("PAPYRUS_API_BASE_URL", c.APIBaseURL); err != nil {
		return nil, err
	}
	if c.PowerSyncURL != "" {
		if c.PowerSyncURL, err = baseURL("POWERSYNC_SERVICE_URL", c.PowerSyncURL); err != nil {
			return nil, err
		}
	}
	return &AuthRepository{
		config: c, server: newServer(c.APIBaseURL, o.transport), store: store,
		label: text.Line(o.label, longestLabel), entering: func() error { return nil }, observe: func(outcome) {},
	}, nil
}

// Server returns the base URL of the server.
func (r *AuthRepository) Server() string { return r.config.APIBaseURL }

// authTokens is the AuthTokens of the contract.
type authTokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	User         User   `json:"user"`
}

func (t authTokens) access() accessToken { return accessToken{t.AccessToken, t.User.ID} }

// check returns an error for what papyrus does not send: it must never replace a good token.
func (t authTokens) check() error {
	if t.AccessToken == "" || !text.IsPrintableASCII(t.RefreshToken, longestToken) || t.User.ID == "" {
		return lacking("tokens")
	}
	return nil
}

// Bootstrap signs in with the stored refresh token. Without one nothing is sent, and the error is [ErrSignedOut].
func (r *AuthRepository) Bootstrap(ctx context.Context) (User, error) { return r.Refresh(ctx) }

// Registration is what an account is made of.
type Registration struct {
	Email, DisplayName string
	Password           secret.Text
}

// Register makes an account and signs in to it.
func (r *AuthRepository) Register(ctx context.Context, in Registration) (User, error) {
	return r.signIn(ctx, "/v1/auth/register", map[string]string{
		"email": in.Email, "display_name": in.DisplayName, "password": in.Password.Reveal(),
	})
}

// Login signs in with a password. Who was signed in before is forgotten once this succeeds, and that session ended at the server, if it can
// be reached for that: no failure there is one of the sign-in. The same goes for every way to sign in.
func (r *AuthRepository) Login(ctx context.Context, email string, password secret.Text) (User, error) {
	return r.signIn(ctx, "/v1/auth/login", map[string]string{"email": email, "password": password.Reveal()})
}

// signIn makes a call that is answered with tokens, and keeps them. It makes none where they could not be kept, and leaves no session at the
// server whose tokens nobody has.
func (r *AuthRepository) signIn(ctx context.Context, path string, in map[string]string) (User, error) {
	if _, err := r.store.Load(ctx); err != nil {
		return User{}, err
	}
	in["client_type"], in["device_label"] = clientType, r.label
	var got authTokens
	if err := r.server.do(ctx, call{method: http.MethodPost, path: path, in: in, out: &got}); err != nil {
		return User{}, err
	}
	if err := got.check(); err != nil {
		return User{}, err
	}
	before, err := r.replace(ctx, got)
	if err != nil {
		_ = r.end(context.WithoutCancel(ctx), got)
		return User{}, err
	}
	if before.RefreshToken.IsSet() {
		_ = r.endBefore(ctx, before)
	}
	return got.User, nil
}

// replace keeps the tokens of a sign-in, and returns the account that was there before.
func (r *AuthRepository) replace(ctx context.Context, t authTokens) (before Account, err error) {
	unlock, err := r.store.Lock(ctx)
	if err != nil {
		return Account{}, err
	}
	defer unlock()
	if before, err = r.store.Load(ctx); err != nil {
		return Account{}, err
	}
	if err := r.entering(); err != nil {
		return Account{}, err
	}
	return before, r.keep(ctx, t)
}

// endBefore ends the session of an account that is stored no more. Its refresh token is of that session for certain; the access token in
// memory may be of another.
func (r *AuthRepository) endBefore(ctx context.Context, before Account) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	t, err := r.present(ctx, before.RefreshToken)
	if err != nil {
		return err
	}
	return r.end(ctx, t)
}

// end ends the session of tokens that are not kept.
func (r *AuthRepository) end(ctx context.Context, t authTokens) error {
	return r.server.do(ctx, call{method: http.MethodPost, path: logoutPath, accessToken: t.AccessToken, timeout: endTimeout})
}

// keep stores tokens, and then has them used. The caller holds the lock of the store.
func (r *AuthRepository) keep(ctx context.Context, t authTokens) error {
	if err := r.store.Save(ctx, Account{secret.New(t.RefreshToken), t.User}); err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	r.setAccess(t.access())
	r.observe(outcome{user: t.User})
	return nil
}

// Refresh replaces the tokens. Calls at the same moment share one request, and processes that share the store take turns, each with the
// token that the one before was given. A refusal, 401 or 403, clears the tokens and is [ErrSignedOut]; any other failure keeps them.
func (r *AuthRepository) Refresh(ctx context.Context) (User, error) {
	t, err := r.renew(ctx)
	return t.User, err
}

// renew refreshes and returns the tokens.
func (r *AuthRepository) renew(ctx context.Context) (authTokens, error) {
	flight := r.flights.DoChan("", func() (any, error) {
		return r.refresh(context.WithoutCancel(ctx)) // for all who wait; store and server bound it
	})
	select {
	case got := <-flight:
		if got.Err != nil {
			return authTokens{}, got.Err
		}
		t, _ := got.Val.(authTokens)
		return t, nil
	case <-ctx.Done():
		return authTokens{}, ctx.Err()
	}
}

func (r *AuthRepository) refresh(ctx context.Context) (authTokens, error) {
	unlock, err := r.store.Lock(ctx)
	if err != nil {
		r.observe(outcome{err: err})
		return authTokens{}, err
	}
	defer unlock()
	t, err := r.refreshLocked(ctx)
	if err != nil {
		r.observe(outcome{t.User, err})
	}
	return t, err
}

// refreshLocked presents the token that is stored now: another process may have replaced the one that was there before. With an error
// that keeps the account it returns whose that is.
func (r *AuthRepository) refreshLocked(ctx context.Context) (authTokens, error) {
	account, err := r.store.Load(ctx)
	if err != nil {
		return authTokens{User: account.User}, err
	}
	if !account.RefreshToken.IsSet() {
		r.setAccess(accessToken{})
		return authTokens{}, ErrSignedOut
	}
	got, err := r.present(ctx, account.RefreshToken)
	switch {
	case refused(err):
		return authTokens{}, errors.Join(whySignedOut(err), r.forget(ctx, account))
	case err != nil:
		return authTokens{User: account.User}, err
	}
	return got, r.keep(ctx, got)
}

// present makes the request of a refresh.
func (r *AuthRepository) present(ctx context.Context, token secret.Text) (got authTokens, err error) {
	in := map[string]string{"refresh_token": token.Reveal()}
	if err := r.server.do(ctx, call{method: http.MethodPost, path: "/v1/auth/refresh", in: in, out: &got}); err != nil {
		return authTokens{}, err
	}
	return got, got.check()
}

// forget clears the account that was presented, unless the store has another one by now. The caller holds the lock.
func (r *AuthRepository) forget(ctx context.Context, presented Account) error {
	r.setAccess(accessToken{})
	now, err := r.store.Load(ctx)
	if err != nil || now.RefreshToken.Reveal() != presented.RefreshToken.Reveal() {
		return err
	}
	return r.store.Clear(ctx)
}

// Logout signs out: the session ends at the server, and the account is forgotten here whatever the server says. The error is
// [ErrUnreachable] where the server could not be told, and its session goes on until it expires. With any other the account may be there
// still.
func (r *AuthRepository) Logout(ctx context.Context) error {
	told := r.authorized(ctx, call{method: http.MethodPost, path: logoutPath})
	if err := r.Forget(ctx); err != nil {
		return err
	}
	if errors.Is(told, ErrSignedOut) || refused(told) {
		return nil // it has ended before
	}
	return told
}

// Forget clears the tokens without a word to the server.
func (r *AuthRepository) Forget(ctx context.Context) error {
	return r.forgetIf(ctx, func() (bool, error) { return true, nil })
}

// forgetIf clears the tokens if that is meant still, once no other process is at them.
func (r *AuthRepository) forgetIf(ctx context.Context, meant func() (bool, error)) error {
	unlock, err := r.store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if still, err := meant(); err != nil || !still {
		return err
	}
	if err := r.store.Clear(ctx); err != nil {
		return err
	}
	r.setAccess(accessToken{})
	r.observe(outcome{err: ErrSignedOut})
	return nil
}

// authorized makes a call with the access token, which is refreshed first where there is none. On 401 it is refreshed once and the call
// made once more; a second 401 is returned, and clears nothing: only the answer to a refresh does. Other failures are not retried.
func (r *AuthRepository) authorized(ctx context.Context, c call) error {
	return r.authorizedAs(ctx, "", c)
}

// authorizedAs is authorized for a user alone, where userID is not "".
func (r *AuthRepository) authorizedAs(ctx context.Context, userID string, c call) error {
	access, err := r.usable(ctx, r.currentAccess(), userID)
	if err != nil {
		return err
	}
	c.accessToken = access.token
	err = r.server.do(ctx, c)
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusUnauthorized {
		return err
	}

	r.dropAccess(access)
	// What was asked for one user is not asked for another, who may have signed in meanwhile.
	if access, err = r.usable(ctx, r.currentAccess(), access.userID); err != nil {
		return err
	}
	c.accessToken = access.token
	return r.server.do(ctx, c)
}

// usable returns access, refreshed if it is none. Where it is not userID's, and that is not "", the error is [ErrOtherUser].
func (r *AuthRepository) usable(ctx context.Context, access accessToken, userID string) (accessToken, error) {
	if access.token == "" {
		t, err := r.renew(ctx)
		if err != nil {
			return accessToken{}, err
		}
		access = t.access()
	}
	if userID != "" && userID != access.userID {
		return accessToken{}, ErrOtherUser
	}
	return access, nil
}

func (r *AuthRepository) currentAccess() accessToken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.access
}

func (r *AuthRepository) setAccess(a accessToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.access = a
}

// dropAccess forgets an access token that was refused, unless it was replaced since.
func (r *AuthRepository) dropAccess(refused accessToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.access == refused {
		r.access = accessToken{}
	}
}
