package oidc_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/secret"
	oidctest "github.com/provisioner/provisioner/test/oidc"
)

const (
	callbackURL = "http://127.0.0.1:1/v1/auth/oauth/google/callback" // nobody has to be there
	appRedirect = "papyrus://auth/callback"
)

// states is a Store in memory, for one goroutine.
type states map[[sha256.Size]byte]oidc.State

func (s states) CreateState(_ context.Context, st oidc.State) error {
	s[st.Hash] = st
	return nil
}

func (s states) TakeState(_ context.Context, hash [sha256.Size]byte, now time.Time) (oidc.State, error) {
	st, ok := s[hash]
	delete(s, hash)
	if !ok || !st.ExpiresAt.After(now) {
		return oidc.State{}, oidc.ErrNotFound
	}
	return st, nil
}

func newFlow(t *testing.T, p *oidctest.Provider, clientSecret string) *oidc.Flow {
	t.Helper()
	redirects, err := oidc.NewRedirects([]string{appRedirect})
	if err != nil {
		t.Fatal(err)
	}
	provider := oidc.NewProvider(oidc.Config{
		Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: secret.New(clientSecret), CallbackURL: callbackURL,
		Transport: http.DefaultTransport, Now: time.Now,
	})
	return oidc.NewFlow(provider, redirects, states{}, time.Now)
}

// mustVisit starts a flow, has the browser sign in at the provider, and returns what it brings back.
func mustVisit(t *testing.T, f *oidc.Flow, b *oidctest.Browser, r oidc.StartRequest) oidc.Callback {
	t.Helper()
	started, err := f.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(b.Visit(started.AuthorizationURL, callbackURL))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	return oidc.Callback{State: q.Get("state"), Code: q.Get("code"), Error: q.Get("error"), Browser: started.Browser}
}

func wantFailure(t *testing.T, err error, code, cause string) {
	t.Helper()
	failure, ok := errors.AsType[*oidc.RedirectError](err)
	if !ok || failure.Code != code || !strings.Contains(err.Error(), cause) {
		t.Errorf("%v, want %s for %q", err, code, cause)
	}
}

func identity(p oidctest.Person) oidc.Identity {
	return oidc.Identity{Subject: p.Subject, Email: p.Email, EmailVerified: p.EmailVerified, Name: p.Name, Picture: p.Picture}
}

func TestSignIn(t *testing.T) {
	signIn := oidc.StartRequest{RedirectURI: appRedirect}
	p := oidctest.Start(t, oidctest.Client{RedirectURIs: []string{callbackURL}})
	flow := newFlow(t, p, p.ClientSecret)

	for _, who := range []oidctest.Person{oidctest.Reader, oidctest.Namesake, oidctest.Unverified} {
		t.Run(who.Subject, func(t *testing.T) {
			browser := p.NewBrowser(t, who)
			for range 2 { // the second time the provider knows the browser
				got, err := flow.Finish(t.Context(), mustVisit(t, flow, browser, signIn))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(identity(who), got.Identity); diff != "" {
					t.Errorf("identity (-want +got):\n%s", diff)
				}
			}
		})
	}
	t.Run("a link", func(t *testing.T) {
		link := oidc.StartRequest{RedirectURI: appRedirect, UserID: "0195b1b2-0000-7000-8000-000000000001"}
		got, err := flow.Finish(t.Context(), mustVisit(t, flow, p.NewBrowser(t, oidctest.Reader), link))
		if err != nil || got.UserID != link.UserID || got.Identity != identity(oidctest.Reader) {
			t.Errorf("Finish() = %+v, %v", got, err)
		}
	})
	t.Run("a user who refuses", func(t *testing.T) {
		_, err := flow.Finish(t.Context(), mustVisit(t, flow, p.NewBrowser(t, oidctest.Refuser), signIn))
		wantFailure(t, err, "access_denied", "")
	})
	t.Run("a replayed state", func(t *testing.T) {
		c := mustVisit(t, flow, p.NewBrowser(t, oidctest.Reader), signIn)
		if _, err := flow.Finish(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := flow.Finish(t.Context(), c); !errors.Is(err, oidc.ErrState) {
			t.Errorf("Finish() = %v, want ErrState", err)
		}
	})
	t.Run("the code of another's sign-in", func(t *testing.T) {
		attacker := mustVisit(t, flow, p.NewBrowser(t, oidctest.Namesake), signIn)
		victim := mustVisit(t, flow, p.NewBrowser(t, oidctest.Reader), signIn)
		victim.Code = attacker.Code
		_, err := flow.Finish(t.Context(), victim)
		wantFailure(t, err, oidc.CodeExchangeFailed, "400 invalid_grant")
	})
	t.Run("a client with another secret", func(t *testing.T) {
		flow := newFlow(t, p, "another secret")
		_, err := flow.Finish(t.Context(), mustVisit(t, flow, p.NewBrowser(t, oidctest.Reader), signIn))
		wantFailure(t, err, oidc.CodeExchangeFailed, "401 invalid_client")
	})
}

func TestSignInByUserInfo(t *testing.T) {
	p := oidctest.Start(t, oidctest.Client{RedirectURIs: []string{callbackURL}, UserInfoOnly: true})
	flow := newFlow(t, p, p.ClientSecret)
	got, err := flow.Finish(t.Context(), mustVisit(t, flow, p.NewBrowser(t, oidctest.Reader), oidc.StartRequest{RedirectURI: appRedirect}))
	if err != nil || got.Identity != identity(oidctest.Reader) {
		t.Errorf("Finish() = %+v, %v", got, err)
	}
}

func TestOutage(t *testing.T) {
	p := oidctest.Start(t, oidctest.Client{RedirectURIs: []string{callbackURL}})
	flow := newFlow(t, p, p.ClientSecret)
	c := mustVisit(t, flow, p.NewBrowser(t, oidctest.Reader), oidc.StartRequest{RedirectURI: appRedirect})
	p.Stop()
	_, err := flow.Finish(t.Context(), c)
	wantFailure(t, err, oidc.CodeExchangeFailed, "connection refused")

	if _, err := newFlow(t, p, p.ClientSecret).Start(t.Context(), oidc.StartRequest{RedirectURI: appRedirect}); !errors.Is(err, oidc.ErrUnavailable) {
		t.Errorf("Start() = %v, want ErrUnavailable", err)
	}
}
