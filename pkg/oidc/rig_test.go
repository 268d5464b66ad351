package oidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	clientID     = "provisioner"
	clientSecret = "the client's secret, also long enough for an HMAC"
	callbackURL  = "https://papyrus.example.com/v1/auth/oauth/google/callback"
	appRedirect  = "papyrus://auth/callback"
	localApp     = "http://localhost:43821/auth/callback"

	goodCode  = "a code of the provider"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var start = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// states is a Store in memory.
type states struct {
	mu   sync.Mutex
	rows map[[sha256.Size]byte]oidc.State
}

func (s *states) CreateState(_ context.Context, st oidc.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[st.Hash] = st
	return nil
}

func (s *states) TakeState(_ context.Context, hash [sha256.Size]byte, now time.Time) (oidc.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.rows[hash]
	delete(s.rows, hash)
	if !ok || !st.ExpiresAt.After(now) {
		return oidc.State{}, oidc.ErrNotFound
	}
	return st, nil
}

// The keys are made once: RSA is slow under the race detector.
var providerKey, otherKey = sync.OnceValue(newKey), sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// provider is an OpenID provider in the hands of the test. It redeems goodCode once a visit, for whoever knows the verifier.
type provider struct {
	*httptest.Server
	now        func() time.Time
	visit      url.Values // the parameters of the last authorization URL
	redeemed   bool
	calls      map[string]int       // by path
	describe   func(map[string]any) // changes the discovery document
	claim      func(jwt.MapClaims)  // changes the ID token's claims
	sign       func(jwt.MapClaims) string
	redeem     http.HandlerFunc // takes the place of the token endpoint's checks if it is set
	userInfo   map[string]any
	lastClient string // how the last client named itself: "basic" or "post"
}

func newProvider(t *testing.T, now func() time.Time) *provider {
	t.Helper()
	p := &provider{
		now: now, calls: map[string]int{}, describe: func(map[string]any) {}, claim: func(jwt.MapClaims) {}, sign: signRS256,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveMetadata)
	mux.HandleFunc("GET /keys", p.serveKeys)
	mux.HandleFunc("POST /token", p.serveToken)
	mux.HandleFunc("GET /userinfo", p.serveUserInfo)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.calls[r.URL.Path]++
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	}
	p.describe(m)
	writeJSON(w, http.StatusOK, m)
}

func (p *provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: providerKey().Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"},
	}})
}

func (p *provider) serveToken(w http.ResponseWriter, r *http.Request) {
	_, _, basic := r.BasicAuth()
	if p.lastClient = "post"; basic {
		p.lastClient = "basic"
	}
	if p.redeem != nil {
		p.redeem(w, r)
		return
	}
	known := r.FormValue("code") == goodCode && !p.redeemed && r.FormValue("redirect_uri") == callbackURL &&
		oidc.CheckVerifier(p.visit.Get("code_challenge"), r.FormValue("code_verifier"))
	if !known {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": strings.Repeat("long ", 1000)})
		return
	}
	p.redeemed = true
	p.grant(w)
}

// grant answers with an ID token for the last visit.
func (p *provider) grant(w http.ResponseWriter) {
	claims := jwt.MapClaims{
		"iss": p.URL, "aud": clientID, "sub": "s1", "nonce": p.visit.Get("nonce"),
		"iat": p.now().Unix(), "exp": p.now().Add(time.Hour).Unix(),
		"email": "reader@example.com", "email_verified": true, "name": "Zoë Reader", "picture": "https://example.com/zoe.png",
	}
	p.claim(claims)
	writeJSON(w, http.StatusOK, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(claims)})
}

func (p *provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer access" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	writeJSON(w, http.StatusOK, p.userInfo)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// signRS256 signs as the provider does.
func signRS256(c jwt.MapClaims) string {
	return signWith(jwt.SigningMethodRS256, providerKey(), "k1")(c)
}

func signWith(method jwt.SigningMethod, key any, id string) func(jwt.MapClaims) string {
	return func(c jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = id
		signed, err := token.SignedString(key)
		if err != nil {
			panic(err)
		}
		return signed
	}
}

// rig is a Flow with a provider, at start.
type rig struct {
	*oidc.Flow
	provider *provider
	states   *states
	clock    *clock
}

func newRig(t *testing.T) rig {
	t.Helper()
	c := &clock{start}
	p := newProvider(t, c.now)
	s := &states{rows: map[[sha256.Size]byte]oidc.State{}}
	return rig{Flow: newFlow(t, p.URL, http.DefaultTransport, s, c), provider: p, states: s, clock: c}
}

func newFlow(t *testing.T, issuer string, transport http.RoundTripper, s oidc.Store, c *clock) *oidc.Flow {
	t.Helper()
	redirects, err := oidc.NewRedirects([]string{appRedirect, localApp})
	if err != nil {
		t.Fatal(err)
	}
	p := oidc.NewProvider(oidc.Config{
		Issuer: issuer, ClientID: clientID, ClientSecret: secret.New(clientSecret), CallbackURL: callbackURL,
		Transport: transport, Now: c.now,
	})
	return oidc.NewFlow(p, redirects, s, c.now)
}

// signIn is what an app asks for, mostly.
var signIn = oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: challenge, CodeChallengeMethod: "S256"}

// mustVisit starts a flow, has a browser visit the provider, and returns what it would bring back.
func (r rig) mustVisit(t *testing.T, request oidc.StartRequest) oidc.Callback {
	t.Helper()
	started, err := r.Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(started.AuthorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	r.provider.visit, r.provider.redeemed = u.Query(), false
	return oidc.Callback{State: r.provider.visit.Get("state"), Code: goodCode, Browser: started.Browser}
}

// wantFailure checks that err sends the app code, for a cause that has the words.
func wantFailure(t *testing.T, err error, code, cause string) {
	t.Helper()
	failure, ok := errors.AsType[*oidc.RedirectError](err)
	if !ok || failure.Code != code || failure.RedirectURI != appRedirect {
		t.Fatalf("%v, want %s to %s", err, code, appRedirect)
	}
	if !strings.Contains(failure.Error(), cause) || len(failure.Error()) > 700 || strings.Contains(failure.Error(), "\n") {
		t.Errorf("%v, want one short line with %q", failure, cause)
	}
}

// with returns a change of claims to what is given; nil takes a claim away.
func with(changes jwt.MapClaims) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) {
		maps.Copy(c, changes)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	}
}
