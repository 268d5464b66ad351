package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/text"
)

const (
	callTimeout = 4 * time.Second
	maxReplyLen = 256 << 10
	maxCauseLen = 500 // of an error that goes to the log, in bytes: libraries quote whole answers
)

// ErrUnavailable is a provider that cannot be reached or does not describe itself as it should. It is read-only.
var ErrUnavailable = &apierror.Error{
	Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable,
	Message: "the sign-in provider is unavailable, try again", RetryAfter: 5 * time.Second,
}

// algorithms are those of ID tokens: asymmetric ones alone. With HMAC, our own secret or a public key could sign.
var algorithms = []string{
	gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.PS256, gooidc.PS384, gooidc.PS512,
	gooidc.ES256, gooidc.ES384, gooidc.ES512, gooidc.EdDSA,
}

// Config is what a Provider is made of; every field is needed.
type Config struct {
	Issuer       string // an https URL, or http on loopback, exactly as the provider writes it
	ClientID     string
	ClientSecret secret.Text
	CallbackURL  string            // where the provider sends users back: ours, as registered there
	Transport    http.RoundTripper // the network
	Now          func() time.Time
}

// Provider is an OpenID provider that is known by its issuer. It is safe for concurrent use.
type Provider struct {
	config Config
	client *http.Client
	found  atomic.Pointer[metadata]
	flight singleflight.Group
}

// NewProvider returns a Provider without asking it anything: what it says of itself (OpenID Connect Discovery 1.0) is
// fetched when it is first needed, then kept. A provider that is down stops nobody but those who sign in with it.
func NewProvider(c Config) *Provider {
	return &Provider{config: c, client: &http.Client{
		Transport: bounded{c.Transport}, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the issuer is pinned
	}}
}

// bounded cuts every answer off.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxReplyLen), resp.Body}
	return resp, nil
}

// metadata is what a provider says of itself.
type metadata struct {
	*gooidc.Provider
	authMethods []string // of the token endpoint (RFC 8414 §2)
}

// authorizationURL returns where the browser of a new flow goes.
func (p *Provider) authorizationURL(ctx context.Context, state, nonce, verifier string) (string, error) {
	m, err := p.discover(ctx)
	if err != nil {
		return "", ErrUnavailable.With(err)
	}
	return p.oauth(m, oauth2.AuthStyleAutoDetect).AuthCodeURL(state, gooidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// oauth returns the OAuth client that we are, one that names itself to the token endpoint in the way of style.
func (p *Provider) oauth(m *metadata, style oauth2.AuthStyle) *oauth2.Config {
	endpoint := m.Endpoint()
	endpoint.AuthStyle = style
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret.Reveal(), Endpoint: endpoint,
		RedirectURL: p.config.CallbackURL, Scopes: []string{gooidc.ScopeOpenID, gooidc.ScopeEmail, gooidc.ScopeProfile},
	}
}

// discover returns the provider's metadata, fetched once for all who want it. A failure is forgotten: the next caller tries
// again. One who gives up does not end it for the others.
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	if m := p.found.Load(); m != nil {
		return m, nil
	}
	done := p.flight.DoChan("", func() (any, error) {
		if m := p.found.Load(); m != nil { // another flight has just landed
			return m, nil
		}
		m, err := p.fetch(context.WithoutCancel(ctx))
		if err == nil {
			p.found.Store(m)
		}
		return m, err
	})
	select {
	case r := <-done:
		m, _ := r.Val.(*metadata)
		return m, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetch asks the provider. The issuer that it names must be the configured one (Discovery §4.3).
func (p *Provider) fetch(ctx context.Context) (*metadata, error) {
	provider, err := gooidc.NewProvider(gooidc.ClientContext(ctx, p.client), p.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the provider: %w", brief(err))
	}
	var said struct {
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		KeysURL     string   `json:"jwks_uri"`
	}
	if err := provider.Claims(&said); err != nil {
		return nil, fmt.Errorf("discover the provider: %w", brief(err))
	}
	endpoints := []string{provider.Endpoint().AuthURL, provider.Endpoint().TokenURL, said.KeysURL}
	if optional := provider.UserInfoEndpoint(); optional != "" {
		endpoints = append(endpoints, optional) // it is sent the access token
	}
	for _, endpoint := range endpoints {
		if err := p.checkEndpoint(endpoint); err != nil {
			return nil, fmt.Errorf("discover the provider: %w", err)
		}
	}
	return &metadata{Provider: provider, authMethods: said.AuthMethods}, nil
}

// checkEndpoint refuses an endpoint that is missing, or less protected than the issuer is.
func (p *Provider) checkEndpoint(raw string) error {
	issuer, issuerErr := url.Parse(p.config.Issuer)
	u, err := url.Parse(raw)
	if err := errors.Join(issuerErr, err); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != issuer.Scheme {
		return fmt.Errorf("an endpoint is missing or not of the scheme of the issuer: %q", text.Line(raw, maxCauseLen))
	}
	return nil
}

// The ways in which a client names itself to a token endpoint (OpenID Connect Core 1.0 §9).
const (
	secretBasic = "client_secret_basic"
	secretPost  = "client_secret_post"
)

// authStyles lists how to name ourselves, the standard's default first.
func (m *metadata) authStyles() []oauth2.AuthStyle {
	switch {
	case !slices.Contains(m.authMethods, secretPost):
		return []oauth2.AuthStyle{oauth2.AuthStyleInHeader}
	case !slices.Contains(m.authMethods, secretBasic):
		return []oauth2.AuthStyle{oauth2.AuthStyleInParams}
	default:
		return []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams}
	}
}

// brief makes an error of the libraries fit for a log: one line, bounded, of the provider's refusal only status and code.
func brief(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("the token endpoint answered %d %s", e.Response.StatusCode, providerCode(e.ErrorCode))
	}
	return errors.New(text.Line(err.Error(), maxCauseLen))
}
