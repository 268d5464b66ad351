package oidc

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

const maxHops = 20

// Browser is a browser with cookies of its own at which a Person sits. It keeps cookies as browsers do: by host, not by port.
type Browser struct {
	t        testing.TB
	provider *Provider
	person   Person
	client   *http.Client
}

// NewBrowser returns a browser that has never been anywhere.
func (p *Provider) NewBrowser(t testing.TB, who Person) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{t: t, provider: p, person: who, client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Visit opens a URL and goes where it is sent, through the provider's sign-in if that is on the way, until it is sent to a
// URL that begins with until. That one it does not open but returns: a callback, or an app's own scheme.
func (b *Browser) Visit(from, until string) string {
	b.t.Helper()
	at := from
	for range maxHops {
		if strings.HasPrefix(at, until) {
			return at
		}
		at = b.next(at)
	}
	b.t.Fatalf("%s does not lead to %s", from, until)
	return ""
}

// next opens a URL and returns where it redirects to.
func (b *Browser) next(at string) string {
	b.t.Helper()
	if strings.HasPrefix(at, b.provider.Issuer+"/auth?") {
		at += "&login_hint=" + url.QueryEscape(b.person.Subject)
	}
	resp := b.Open(at)
	defer resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		body, _ := io.ReadAll(resp.Body) // shown as far as it came
		b.t.Fatalf("%s answers %s and leads nowhere: %s", at, resp.Status, body)
	}
	return location.String()
}

// Open opens a URL and goes no further. The caller closes the body.
func (b *Browser) Open(url string) *http.Response {
	b.t.Helper()
	resp, err := b.client.Get(url)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}
