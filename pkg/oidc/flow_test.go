package oidc_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/secret"
)

const userID = "0195b1b2-0000-7000-8000-000000000001"

func TestSignIn(t *testing.T) {
	r := newRig(t)
	got, err := r.Finish(t.Context(), r.mustVisit(t, signIn))
	if err != nil {
		t.Fatal(err)
	}
	want := oidc.Outcome{RedirectURI: appRedirect, CodeChallenge: challenge, Identity: oidc.Identity{
		Subject: "s1", Email: "reader@example.com", EmailVerified: true, Name: "Zoë Reader", Picture: "https://example.com/zoe.png",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestLink(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, oidc.StartRequest{RedirectURI: localApp, UserID: userID})
	if c.Browser.IsSet() {
		t.Error("a link is bound to a browser")
	}
	got, err := r.Finish(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got.UserID != userID || got.RedirectURI != localApp || got.CodeChallenge != "" || got.Identity.Subject != "s1" {
		t.Errorf("outcome = %+v", got)
	}
}

func TestAuthorizationURL(t *testing.T) {
	r := newRig(t)
	started, err := r.Start(t.Context(), signIn)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(started.AuthorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	want := url.Values{
		"client_id": {clientID}, "redirect_uri": {callbackURL}, "response_type": {"code"}, "scope": {"openid email profile"},
		"code_challenge_method": {"S256"}, "state": {started.State},
		"nonce": {q.Get("nonce")}, "code_challenge": {q.Get("code_challenge")},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	seen := map[string]bool{"": true, challenge: true}
	for _, value := range []string{started.State, q.Get("nonce"), q.Get("code_challenge"), started.Browser.Reveal()} {
		if len(value) != 43 || seen[value] {
			t.Errorf("%q is not 32 random bytes of its own", value)
		}
		seen[value] = true
	}
	if got := strings.TrimSuffix(started.AuthorizationURL, "?"+u.RawQuery); got != r.provider.URL+"/auth" {
		t.Errorf("the browser goes to %s", got)
	}
}

func TestStoredStateGivesNoneAway(t *testing.T) {
	r := newRig(t)
	started, err := r.Start(t.Context(), signIn)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.states.rows {
		row := fmt.Sprintf("%+v %s %s", s, s.Hash[:], s.BrowserHash[:])
		if strings.Contains(row, started.State) || strings.Contains(row, started.Browser.Reveal()) {
			t.Error("the store could finish the flow")
		}
		if bytes.Equal(s.BrowserHash[:], make([]byte, len(s.BrowserHash))) || !s.ExpiresAt.Equal(start.Add(10*time.Minute)) {
			t.Errorf("state = %+v", s)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name    string
		request oidc.StartRequest
		want    *apierror.Error
	}{
		{"no redirect", oidc.StartRequest{}, oidc.ErrRedirectNotAllowed},
		{"a redirect that is not on the list", oidc.StartRequest{RedirectURI: "https://evil.example/auth/callback"}, oidc.ErrRedirectNotAllowed},
		{"loopback without a challenge", oidc.StartRequest{RedirectURI: "http://127.0.0.1:5000/auth/callback"}, oidc.ErrRedirectNotAllowed},
		{"a short challenge", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: challenge[1:]}, oidc.ErrInvalidChallenge},
		{"a long challenge", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: challenge + "A"}, oidc.ErrInvalidChallenge},
		{"a padded challenge", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: challenge[:42] + "="}, oidc.ErrInvalidChallenge},
		{"a challenge in plain base64", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: "+" + challenge[1:]}, oidc.ErrInvalidChallenge},
		{"a challenge with a line break", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: "\n" + challenge[1:]}, oidc.ErrInvalidChallenge},
		{"a challenge with bits left over", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: challenge[:42] + "N"}, oidc.ErrInvalidChallenge},
		{"the plain method", oidc.StartRequest{RedirectURI: appRedirect, CodeChallenge: challenge, CodeChallengeMethod: "plain"}, oidc.ErrInvalidChallenge},
		{"a method alone", oidc.StartRequest{RedirectURI: appRedirect, CodeChallengeMethod: "S256"}, oidc.ErrInvalidChallenge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.Start(t.Context(), tt.request)
			if !errors.Is(err, tt.want) || apierror.From(err).Status != http.StatusBadRequest {
				t.Errorf("Start() = %v, want %v", err, tt.want)
			}
		})
	}
	if len(r.states.rows) != 0 {
		t.Errorf("%d states are kept", len(r.states.rows))
	}
}

func TestReplayedState(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, signIn)
	if _, err := r.Finish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(t.Context(), c); !errors.Is(err, oidc.ErrState) {
		t.Errorf("the second Finish() = %v, want ErrState", err)
	}
	if n := r.provider.calls["/token"]; n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestReplayedStateAtOnce(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, signIn)
	var good atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := r.Finish(t.Context(), c); err == nil {
				good.Add(1)
			} else if !errors.Is(err, oidc.ErrState) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 8 finished", good.Load())
	}
}

func TestStateFromAnotherBrowser(t *testing.T) {
	r := newRig(t)
	attacker := r.mustVisit(t, signIn)
	for name, browser := range map[string]secret.Text{
		"one that has no secret":                   {},
		"one with the secret of a flow of its own": attacker.Browser,
		"one with more than the secret":            secret.New(attacker.Browser.Reveal() + "A"),
	} {
		t.Run(name, func(t *testing.T) {
			c := r.mustVisit(t, signIn)
			right := c.Browser
			c.Browser = browser
			if _, err := r.Finish(t.Context(), c); !errors.Is(err, oidc.ErrState) {
				t.Errorf("Finish() = %v, want ErrState", err)
			}
			c.Browser = right
			if _, err := r.Finish(t.Context(), c); !errors.Is(err, oidc.ErrState) {
				t.Errorf("afterwards, in the right browser: %v, want ErrState", err)
			}
		})
	}
	if n := r.provider.calls["/token"]; n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestUnknownState(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, signIn)
	for name, state := range map[string]string{
		"none":           "",
		"another":        strings.Repeat("A", 43),
		"its beginning":  c.State[:42],
		"with more":      c.State + "A",
		"huge":           strings.Repeat("A", 1<<20),
		"the stored one": fmt.Sprintf("%.43x", c.State),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Finish(t.Context(), oidc.Callback{State: state, Code: c.Code, Error: "access_denied", Browser: c.Browser})
			if !errors.Is(err, oidc.ErrState) || apierror.From(err).Status != http.StatusBadRequest {
				t.Errorf("Finish() = %v, want ErrState", err)
			}
		})
	}
}

func TestExpiredState(t *testing.T) {
	for _, tt := range []struct {
		name string
		late time.Duration
		want error
	}{
		{"just in time", 10*time.Minute - time.Microsecond, nil},
		{"too late", 10 * time.Minute, oidc.ErrState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			c := r.mustVisit(t, signIn)
			r.clock.Time = start.Add(tt.late)
			if _, err := r.Finish(t.Context(), c); !errors.Is(err, tt.want) {
				t.Errorf("Finish() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestProviderErrors(t *testing.T) {
	for _, tt := range []struct{ name, sent, want string }{
		{"its own", "access_denied", "access_denied"},
		{"with spaces", "temporarily unavailable", "temporarily unavailable"},
		{"with what the standard forbids", "a\r\nb\"c\\d\x7fé", "abcd"},
		{"of nothing else", "\x00\xff", "server_error"},
		{"very long", strings.Repeat("a", 100), strings.Repeat("a", 64)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			c := r.mustVisit(t, signIn)
			c.Error = tt.sent
			_, err := r.Finish(t.Context(), c)
			wantFailure(t, err, tt.want, "")
		})
	}
}

func TestMissingCode(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, signIn)
	c.Code = ""
	_, err := r.Finish(t.Context(), c)
	wantFailure(t, err, oidc.CodeMissingCode, "")
}

func TestHugeCode(t *testing.T) {
	r := newRig(t)
	c := r.mustVisit(t, signIn)
	c.Code = strings.Repeat("a", 4097)
	_, err := r.Finish(t.Context(), c)
	wantFailure(t, err, oidc.CodeExchangeFailed, "too long")
	if n := r.provider.calls["/token"]; n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestReusedCode(t *testing.T) {
	r := newRig(t)
	if _, err := r.Finish(t.Context(), r.mustVisit(t, signIn)); err != nil {
		t.Fatal(err)
	}
	c := r.mustVisit(t, signIn)
	r.provider.redeemed = true
	_, err := r.Finish(t.Context(), c)
	wantFailure(t, err, oidc.CodeExchangeFailed, "the token endpoint answered 400 invalid_grant")
}

// A code that was issued for one sign-in is of no use in another: the provider's PKCE tells them apart.
func TestCodeOfAnotherSignIn(t *testing.T) {
	r := newRig(t)
	victim := r.mustVisit(t, signIn)
	r.mustVisit(t, signIn) // the code is now the attacker's
	_, err := r.Finish(t.Context(), victim)
	wantFailure(t, err, oidc.CodeExchangeFailed, "invalid_grant")
}

func TestOutageOfTheStore(t *testing.T) {
	r := newRig(t)
	flow := newFlow(t, r.provider.URL, http.DefaultTransport, broken{}, r.clock)
	if _, err := flow.Start(t.Context(), signIn); !errors.Is(err, errBroken) {
		t.Errorf("Start() = %v, want %v", err, errBroken)
	}
	if _, err := flow.Finish(t.Context(), r.mustVisit(t, signIn)); !errors.Is(err, errBroken) {
		t.Errorf("Finish() = %v, want %v", err, errBroken)
	}
}
