package e2e_test

import (
	_ "embed" // the web app
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/browser"
	oidctest "github.com/provisioner/provisioner/test/oidc"
	"github.com/provisioner/provisioner/test/record"
)

//go:embed app.html
var webApp string

// withWebApp starts papyrus with a provider, and returns it with the origin of a web app.
func withWebApp(t *testing.T) (in provided, app string) {
	t.Helper()
	page := template.Must(template.New("app").Parse(webApp))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := page.Execute(w, in.public); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	in = withProvider(t, server.URL)
	return in, server.URL
}

// shows checks the path, and the text of the web app there.
func shows(t *testing.T, what string, page browser.Page, path, text string) {
	t.Helper()
	if !strings.Contains(page.URL, path) || !strings.Contains(page.Text, text) {
		t.Errorf("%s: %s shows %q, want %q at %s", what, page.URL, page.Text, text, path)
	}
}

// shownUser returns the id of the user whom the web app shows.
func shownUser(t *testing.T, page browser.Page) string {
	t.Helper()
	_, id, ok := strings.Cut(page.Text, " ")
	if !ok {
		t.Fatalf("%s shows nobody but %q", page.URL, page.Text)
	}
	return id
}

// TestBrowserSignsIn has people sign in to a web app, in Chromium.
func TestBrowserSignsIn(t *testing.T) {
	in, app := withWebApp(t)
	chromium := browser.Start(t)
	readers := chromium.NewProfile()

	shows(t, "before", readers.Visit(app), app, "nobody")
	shows(t, "sign in", readers.Visit(app+"/sign-in"), in.provider.Issuer+"/interaction/", "Who are you?")
	back := readers.Click(oidctest.Reader.Subject)
	shows(t, "back from the provider", back, app+"/auth/callback?code=", oidctest.Reader.Email)
	again := readers.Visit(app + "/sign-in")
	shows(t, "again, which the provider allows without asking", again, app+"/auth/callback?code=", oidctest.Reader.Email)
	if shownUser(t, again) != shownUser(t, back) {
		t.Errorf("the second sign-in shows %q, the first %q", again.Text, back.Text)
	}
	shows(t, "a reload, which exchanges the code again", readers.Visit(again.URL), app, "401 UNAUTHORIZED")
	shows(t, "the session is still there", readers.Visit(app), app, oidctest.Reader.Email)

	refusers := chromium.NewProfile()
	refusers.Visit(app + "/sign-in")
	shows(t, "a refusal at the provider", refusers.Click(oidctest.Refuser.Subject), app+"/auth/callback?error=access_denied", "access_denied")
	shows(t, "afterwards", refusers.Visit(app), app, "nobody")
}

// TestBrowserLinksAnIdentity adds the user at the provider to an account with a password, in Chromium.
func TestBrowserLinksAnIdentity(t *testing.T) {
	in, app := withWebApp(t)
	chromium := browser.Start(t)
	owner := &reader{t: t, email: oidctest.Reader.Email, password: record.NewSecret("password")}
	owner.take(in.post("/v1/auth/register", owner.registration(), nil), http.StatusCreated)

	tooEarly := chromium.NewProfile()
	tooEarly.Visit(app + "/sign-in")
	shows(t, "sign in with the e-mail of an account", tooEarly.Click(oidctest.Reader.Subject), "?error=account_exists", "account_exists")

	owners := chromium.NewProfile()
	shows(t, "link", owners.Visit(app+"/link#"+owner.accessToken), in.provider.Issuer, "Who are you?")
	shows(t, "linked", owners.Click(oidctest.Namesake.Subject), app+"/auth/callback?code=", owner.email+" "+owner.userID)

	elsewhere := chromium.NewProfile()
	elsewhere.Visit(app + "/sign-in")
	shows(t, "sign in by the identity", elsewhere.Click(oidctest.Namesake.Subject), app+"/auth/callback?code=", owner.email+" "+owner.userID)
}

// TestBrowserRefusesSignInsOfOthers has Chromium open what belongs to sign-ins that were begun elsewhere.
func TestBrowserRefusesSignInsOfOthers(t *testing.T) {
	const refused = `"code":"VALIDATION_ERROR"`
	in, app := withWebApp(t)
	chromium := browser.Start(t)
	query := "redirect_uri=" + app + "/auth/callback"
	isRefused := func(t *testing.T, victim *browser.Profile, callback string) {
		t.Helper()
		page := victim.Visit(callback)
		shows(t, "the callback", page, in.callback(), refused)
		if page.Status != http.StatusBadRequest || len(page.Visited) != 1 {
			t.Errorf("status %d by way of %v", page.Status, page.Visited)
		}
		shows(t, "afterwards", victim.Visit(app), app, "nobody")
	}

	t.Run("an attacker's callback", func(t *testing.T) {
		callback, _ := in.returned(oidctest.Namesake, query)
		isRefused(t, chromium.NewProfile(), callback)
	})
	t.Run("an attacker's callback during a sign-in", func(t *testing.T) {
		victim := chromium.NewProfile()
		victim.Visit(app + "/sign-in")
		callback, _ := in.returned(oidctest.Namesake, query)
		isRefused(t, victim, callback)
		victim.Visit(app + "/sign-in")
		shows(t, "the victim's own sign-in", victim.Click(oidctest.Reader.Subject), app+"/auth/callback?code=", oidctest.Reader.Email)
	})
	t.Run("an attacker's code at the app", func(t *testing.T) {
		callback, attackers := in.returned(oidctest.Reader, query)
		victim := chromium.NewProfile()
		victim.Visit(app + "/sign-in") // so that the app has a verifier
		page := victim.Visit(attackers.Visit(callback, app))
		shows(t, "the app's callback", page, app, "401 UNAUTHORIZED")
		shows(t, "afterwards", victim.Visit(app), app, "nobody")
	})
	t.Run("the state of another profile", func(t *testing.T) {
		first := chromium.NewProfile()
		var state string
		for _, url := range first.Visit(app + "/sign-in").Visited {
			if strings.HasPrefix(url, in.provider.Issuer+"/auth?") {
				state = parameter(t, url, "state")
			}
		}
		isRefused(t, chromium.NewProfile(), in.callback()+"?code=any&state="+state)
		shows(t, "the first profile, afterwards", first.Click(oidctest.Reader.Subject), in.callback(), refused)
	})
}
