// Package browser gives a test a real browser, Chromium, driven by npm's playwright-core: with the rules for cookies, redirects,
// origins and storage that no imitation has. It is no part of the product.
package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"testing"

	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/npm"
)

// Browser is a running browser, for one goroutine.
type Browser struct {
	t        testing.TB
	url      string // of browser.mjs
	profiles int
}

// Start runs a browser until t ends.
func Start(t testing.TB) *Browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: run `make deps`", err)
	}
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	npm.Serve(t, "browser", "browser.mjs", []string{"PORT=" + strconv.Itoa(port), "CHROMIUM=" + chromium}, b.ping)
	return b
}

func (b *Browser) ping() error {
	resp, err := http.Get(b.url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Profile is a browser with cookies and storage of its own, and one tab.
type Profile struct {
	browser *Browser
	name    string
}

// NewProfile returns a browser that has never been anywhere.
func (b *Browser) NewProfile() *Profile {
	b.profiles++
	return &Profile{b, strconv.Itoa(b.profiles)}
}

// Page is where a tab has come to.
type Page struct {
	URL     string
	Status  int
	Text    string   // as it is shown, that of a JSON answer too
	Visited []string // the URLs on the way, those of redirects too
}

// Visit opens a URL, goes where it leads, and returns when the page there is whole and its body is not aria-busy.
func (p *Profile) Visit(url string) Page {
	p.browser.t.Helper()
	return p.browser.act(map[string]string{"profile": p.name, "visit": url})
}

// Click clicks the button with this name, and returns as Visit does.
func (p *Profile) Click(button string) Page {
	p.browser.t.Helper()
	return p.browser.act(map[string]string{"profile": p.name, "click": button})
}

func (b *Browser) act(action map[string]string) Page {
	b.t.Helper()
	body, err := json.Marshal(action)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.Post(b.url, "application/json", bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s, %v", body, text, err)
	}
	var page Page
	if err := json.Unmarshal(text, &page); err != nil {
		b.t.Fatal(err)
	}
	return page
}
