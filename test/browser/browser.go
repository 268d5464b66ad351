// Package browser gives a test a real browser, Chromium, driven by npm's playwright-core: with the rules for cookies, redirects,
// origins and storage that no imitation has. It is no part of the product.
package browser

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

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
	return p.act(map[string]string{"visit": url})
}

// Click clicks the button with this name, and returns as Visit does.
func (p *Profile) Click(button string) Page {
	p.browser.t.Helper()
	return p.act(map[string]string{"click": button})
}

// Call calls a function of the page by its name, and returns what it resolves to as JSON, or what it throws.
func (p *Profile) Call(function string, with any) ([]byte, error) {
	return p.browser.post(map[string]any{"profile": p.name, "call": function, "with": with})
}

func (p *Profile) act(action map[string]string) Page {
	p.browser.t.Helper()
	action["profile"] = p.name
	text, err := p.browser.post(action)
	if err != nil {
		p.browser.t.Fatalf("%v: %v", action, err)
	}
	var page Page
	if err := json.Unmarshal(text, &page); err != nil {
		p.browser.t.Fatal(err)
	}
	return page
}

// impatient is how long a page may take for anything.
var impatient = &http.Client{Timeout: time.Minute}

func (b *Browser) post(action any) ([]byte, error) {
	body, err := json.Marshal(action)
	if err != nil {
		return nil, err
	}
	resp, err := impatient.Post(b.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	return text, err
}
