// Package oidc gives a test a real OpenID provider, npm's oidc-provider, with users and the browsers they sit at. It stands
// for Google; it is no part of the product.
package oidc

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/npm"
)

// Person is a user of the provider.
type Person struct {
	Subject       string `json:"subject"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"emailVerified"`
	Name          string `json:"name"`
	Picture       string `json:"picture,omitempty"`
	Refuses       bool   `json:"refuses"` // whether they refuse the sign-in when the provider asks
}

// The provider's users.
var (
	Reader     = Person{Subject: "reader", Email: "reader@example.com", EmailVerified: true, Name: "Zoë Reader", Picture: "https://example.com/zoe.png"}
	Namesake   = Person{Subject: "namesake", Email: "reader@example.com", EmailVerified: true, Name: "Another Reader"} // somebody else
	Unverified = Person{Subject: "unverified", Email: "unverified@example.com", Name: "Unverified"}
	Refuser    = Person{Subject: "refuser", Email: "refuser@example.com", EmailVerified: true, Name: "Refuser", Refuses: true}
)

// Client is the one client that the provider knows.
type Client struct {
	RedirectURIs []string // where it sends users back
	UserInfoOnly bool     // whether e-mail and name are left out of the ID token, for the UserInfo endpoint
}

// Provider is a running provider. It demands PKCE, and names client and secret to be given by HTTP Basic.
type Provider struct {
	Issuer       string // "http://127.0.0.1:<port>"
	ClientID     string
	ClientSecret string
	t            testing.TB
	process      *daemon.Daemon
}

// Start runs a provider on a free port of loopback until t ends.
func Start(t testing.TB, c Client) *Provider {
	t.Helper()
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{
		Issuer: fmt.Sprintf("http://127.0.0.1:%d", port), ClientID: "provisioner", ClientSecret: rand.Text(), t: t,
	}
	p.process = npm.Serve(t, "oidc", "provider.mjs", []string{"OIDC_PROVIDER=" + p.settings(c)}, p.ping)
	return p
}

// settings returns what provider.mjs reads.
func (p *Provider) settings(c Client) string {
	type client struct {
		ID           string   `json:"id"`
		Secret       string   `json:"secret"`
		RedirectURIs []string `json:"redirectURIs"`
		UserInfoOnly bool     `json:"userInfoOnly"`
	}
	settings, err := json.Marshal(struct {
		Issuer string   `json:"issuer"`
		Client client   `json:"client"`
		People []Person `json:"people"`
	}{p.Issuer, client{p.ClientID, p.ClientSecret, c.RedirectURIs, c.UserInfoOnly}, []Person{Reader, Namesake, Unverified, Refuser}})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(settings)
}

// Stop ends the provider; its port refuses connections afterwards. Stopping twice does nothing.
func (p *Provider) Stop() {
	p.t.Helper()
	if err := p.process.Stop(syscall.SIGKILL); err != nil {
		p.t.Error(err)
	}
}

func (p *Provider) ping() error {
	resp, err := http.Get(p.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("discovery is %s", resp.Status)
	}
	return nil
}
