package e2e_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	oidctest "github.com/provisioner/provisioner/test/oidc"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

const (
	appRedirect = "papyrus://auth/callback"

	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// provided is papyrus with a real OpenID provider. Browsers reach papyrus at localhost and the provider at 127.0.0.1, so that to
// them the two are different sites.
type provided struct {
	t        testing.TB
	papyrus  *program.Process
	provider *oidctest.Provider
	public   string // papyrus's base URL for browsers
}

// withProvider starts papyrus with a provider and for the web app at origin, from which browsers may come and go back.
func withProvider(t testing.TB, origin string) provided {
	t.Helper()
	in := provided{t: t, papyrus: newProcess(t, "papyrus", program.Settings{"CORS_ORIGINS": `["` + origin + `"]`})}
	_, port, err := net.SplitHostPort(in.papyrus.Addr("papyrus"))
	if err != nil {
		t.Fatal(err)
	}
	in.public = "http://localhost:" + port
	in.provider = oidctest.Start(t, oidctest.Client{RedirectURIs: []string{in.callback()}})
	record.Keep("client secret", in.provider.ClientSecret)
	in.papyrus.Env = in.papyrus.Env.With(program.Settings{
		"PUBLIC_BASE_URL": in.public, "OIDC_ISSUER": in.provider.Issuer,
		"GOOGLE_OAUTH_CLIENT_ID": in.provider.ClientID, "GOOGLE_OAUTH_CLIENT_SECRET": in.provider.ClientSecret,
	})
	in.papyrus.Start()
	return in
}

func (in provided) callback() string { return in.public + "/v1/auth/oauth/google/callback" }

// start is the URL at which an app has a browser begin.
func (in provided) start(query string) string {
	return in.public + "/v1/auth/oauth/google/start?" + query
}

// post makes a request of papyrus's own API, in the name of nobody for a nil reader.
func (in provided) post(path, body string, as *reader) wire.Answer {
	in.t.Helper()
	if as == nil {
		return mustPost(in.t, in.papyrus.URL("papyrus")+path, body)
	}
	return as.call(http.MethodPost, in.papyrus.URL("papyrus")+path, body)
}

// returned has somebody sign in at the provider in a browser that has never been anywhere, and returns the callback that the
// browser is sent to and does not open.
func (in provided) returned(who oidctest.Person, query string) (callback string, browser *oidctest.Browser) {
	in.t.Helper()
	browser = in.provider.NewBrowser(in.t, who)
	callback = browser.Visit(in.start(query), in.callback())
	record.Keep("state", parameter(in.t, callback, "state"))
	return callback, browser
}

// code has somebody sign in at the provider and returns the code that the app gets.
func (in provided) code(who oidctest.Person, query string) string {
	in.t.Helper()
	callback, browser := in.returned(who, query)
	return in.codeOf(browser.Visit(callback, appRedirect))
}

// codeOf returns the code that an app's redirect brings.
func (in provided) codeOf(redirect string) string {
	in.t.Helper()
	code := parameter(in.t, redirect, "code")
	record.Keep("exchange code", code)
	return code
}

// linkCode has the reader add who somebody is at the provider, up to the code that completes it.
func (in provided) linkCode(r *reader, who oidctest.Person) string {
	in.t.Helper()
	begun := in.post("/v1/auth/link/google/start", `{"redirect_uri":"`+appRedirect+`"}`, r)
	if begun.Status != http.StatusOK {
		in.t.Fatal(begun)
	}
	return in.codeOf(in.provider.NewBrowser(in.t, who).Visit(begun.Member("authorization_url"), appRedirect))
}

// open opens a URL and returns the answer, which is no redirect.
func open(t *testing.T, browser *oidctest.Browser, url string) wire.Answer {
	t.Helper()
	a, err := wire.Read(browser.Open(url), "a callback")
	if err != nil {
		t.Fatal(err)
	}
	record.See("the answer to a callback", a.Body)
	if at := a.Header.Get("Location"); at != "" {
		t.Errorf("sent on to %s", at)
	}
	return a
}

// change writes to p's SQLite database beside p, to have it older than it is.
func change(t *testing.T, p *program.Process, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.Env["DATA_DIR"]+"/provisioner.db?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// parameter returns one of a URL's query, which must have it.
func parameter(t testing.TB, raw, name string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if u.Query().Get(name) == "" {
		t.Fatalf("no %s in %s", name, raw)
	}
	return u.Query().Get(name)
}

// exchange is the body with which an app exchanges a code, "" for a verifier being none.
func exchange(code, verifier string) string {
	if verifier == "" {
		return fmt.Sprintf(`{"code":%q}`, code)
	}
	return fmt.Sprintf(`{"code":%q,"code_verifier":%q}`, code, verifier)
}

// is checks the status and, in papyrus's own shape, the code of an answer.
func is(t *testing.T, what string, a wire.Answer, want string) {
	t.Helper()
	if got := nested(a); got != want {
		t.Errorf("%s: %v, want %s", what, a, want)
	}
}

const (
	plain = "redirect_uri=" + appRedirect
	bound = plain + "&code_challenge=" + challenge
)

// TestProviderRefusesForeignRedirects begins sign-ins that would end elsewhere than in an app that is allowed.
func TestProviderRefusesForeignRedirects(t *testing.T) {
	in := withProvider(t, app)
	r := register(t, in.papyrus.URL("papyrus"))
	for _, tt := range []struct{ name, redirect string }{
		{"http://good@evil/", "http://good@evil/"},
		{"an allowed origin as the user of another host", app + "@evil.example.com/auth/callback"},
		{"an allowed host as the user, with a path", "https://app.example.com:443@evil.example.com/auth/callback"},
		{"a backslash before the host", `https://evil.example.com\@app.example.com/auth/callback`},
		{"another path", app + "/auth/callback/../../steal"},
		{"a longer path", app + "/auth/callback/x"},
		{"an encoded slash", app + "/auth%2Fcallback"},
		{"the root", app + "/"},
		{"another scheme", "http://app.example.com/auth/callback"},
		{"a scheme that runs", "javascript://app.example.com/auth/callback"},
		{"the scheme of another app", "papyrus2://auth/callback"},
		{"another port", app + ":8443/auth/callback"},
		{"a sub-domain", "https://evil.app.example.com/auth/callback"},
		{"a longer host", "https://app.example.com.evil.example.com/auth/callback"},
		{"a query of its own", app + "/auth/callback?next=https://evil.example.com"},
		{"a fragment", app + "/auth/callback#"},
		{"upper case", "HTTPS://APP.EXAMPLE.COM/auth/callback"},
		{"a path without a scheme", "//app.example.com/auth/callback"},
		{"none", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			query := url.Values{"redirect_uri": {tt.redirect}, "code_challenge": {challenge}}.Encode()
			a, err := get(in.papyrus.URL("papyrus") + "/v1/auth/oauth/google/start?" + query)
			if err != nil {
				t.Fatal(err)
			}
			is(t, "start", a, "400 VALIDATION_ERROR")
			if a.Header.Get("Location") != "" || a.Header.Get("Set-Cookie") != "" {
				t.Errorf("headers %v", a.Header)
			}
			if tt.redirect != "" {
				body := fmt.Sprintf(`{"redirect_uri":%q,"code_challenge":%q}`, tt.redirect, challenge)
				is(t, "start of a link", in.post("/v1/auth/link/google/start", body, r), "400 VALIDATION_ERROR")
			}
		})
	}
}

// TestProviderRefusesForeignCallbacks brings back from the provider what this browser did not set out with.
func TestProviderRefusesForeignCallbacks(t *testing.T) {
	in := withProvider(t, app)
	stranger := in.provider.NewBrowser(t, oidctest.Reader)

	t.Run("a replayed state", func(t *testing.T) {
		callback, browser := in.returned(oidctest.Reader, plain)
		in.codeOf(browser.Visit(callback, appRedirect))
		is(t, "again", open(t, browser, callback), "400 VALIDATION_ERROR")
	})
	t.Run("a state from another browser", func(t *testing.T) {
		callback, browser := in.returned(oidctest.Reader, plain)
		is(t, "elsewhere", open(t, stranger, callback), "400 VALIDATION_ERROR")
		is(t, "here, afterwards", open(t, browser, callback), "400 VALIDATION_ERROR")
	})
	t.Run("a state from a browser that has a sign-in of its own under way", func(t *testing.T) {
		_, victim := in.returned(oidctest.Reader, plain)
		attackers, _ := in.returned(oidctest.Namesake, plain)
		is(t, "the attacker's callback", open(t, victim, attackers), "400 VALIDATION_ERROR")
	})
	t.Run("duplicated parameters", func(t *testing.T) {
		for _, name := range []string{"state", "code", "iss"} {
			callback, browser := in.returned(oidctest.Reader, plain)
			again := callback + "&" + name + "=" + url.QueryEscape(parameter(t, callback, name))
			is(t, name, open(t, browser, again), "400 VALIDATION_ERROR")
		}
	})
	t.Run("no state", func(t *testing.T) {
		is(t, "a code alone", open(t, stranger, in.callback()+"?code=stolen"), "400 VALIDATION_ERROR")
	})
	t.Run("the provider's code of another sign-in", func(t *testing.T) {
		callback, browser := in.returned(oidctest.Reader, plain)
		attackers, _ := in.returned(oidctest.Namesake, plain)
		mixed := strings.Replace(callback, "code="+parameter(t, callback, "code"), "code="+parameter(t, attackers, "code"), 1)
		if got := browser.Visit(mixed, appRedirect); got != appRedirect+"?error=exchange_failed" {
			t.Errorf("the app is told %s", got)
		}
	})
}

// TestProviderRefusesCodes exchanges codes of real sign-ins that are not good for it.
func TestProviderRefusesCodes(t *testing.T) {
	in := withProvider(t, app)
	owner, other := register(t, in.papyrus.URL("papyrus")), register(t, in.papyrus.URL("papyrus"))
	const exchangeCode, complete = "/v1/auth/exchange-code", "/v1/auth/link/google/complete"

	for _, tt := range []struct{ name, query, verifier string }{
		{"a code with another verifier", bound, strings.Repeat("a", 43)},
		{"a code with its challenge for a verifier", bound, challenge},
		{"a code without its verifier", bound, ""},
		{"a verifier without a challenge", plain, verifier},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := in.code(oidctest.Reader, tt.query)
			is(t, "exchange", in.post(exchangeCode, exchange(code, tt.verifier), nil), "401 UNAUTHORIZED")
			right := ""
			if tt.query == bound {
				right = verifier
			}
			is(t, "the right one, afterwards", in.post(exchangeCode, exchange(code, right), nil), "401 UNAUTHORIZED")
		})
	}
	t.Run("a reused code", func(t *testing.T) {
		code := in.code(oidctest.Reader, bound)
		(&reader{t: t}).take(in.post(exchangeCode, exchange(code, verifier), nil), http.StatusOK)
		is(t, "again", in.post(exchangeCode, exchange(code, verifier), nil), "401 UNAUTHORIZED")
	})
	t.Run("an expired code", func(t *testing.T) {
		code := in.code(oidctest.Reader, plain)
		change(t, in.papyrus, "UPDATE auth_exchange_codes SET expires_at = expires_at - 60000000") // microseconds
		is(t, "exchange", in.post(exchangeCode, exchange(code, ""), nil), "401 UNAUTHORIZED")
	})
	t.Run("a code to link with", func(t *testing.T) {
		code := in.linkCode(owner, oidctest.Namesake)
		is(t, "exchange", in.post(exchangeCode, exchange(code, ""), nil), "401 UNAUTHORIZED")
		is(t, "complete, afterwards", in.post(complete, exchange(code, ""), owner), "400 VALIDATION_ERROR")
	})
	t.Run("a code to sign in with", func(t *testing.T) {
		code := in.code(oidctest.Reader, plain)
		is(t, "complete", in.post(complete, exchange(code, ""), owner), "400 VALIDATION_ERROR")
	})
	t.Run("another user's code to link with", func(t *testing.T) {
		code := in.linkCode(owner, oidctest.Namesake)
		is(t, "complete", in.post(complete, exchange(code, ""), other), "403 FORBIDDEN")
		is(t, "complete, afterwards", in.post(complete, exchange(code, ""), owner), "400 VALIDATION_ERROR")
	})
	t.Run("an identity that another account has", func(t *testing.T) {
		code := in.linkCode(owner, oidctest.Reader) // who has signed in above, and so has an account
		is(t, "complete", in.post(complete, exchange(code, ""), owner), "409 CONFLICT")
	})
}

// TestProviderNeverLinksByEmail signs in at the provider with the address of somebody else's account.
func TestProviderNeverLinksByEmail(t *testing.T) {
	in := withProvider(t, app)
	squatter := &reader{t: t, email: oidctest.Reader.Email, password: record.NewSecret("password")}
	squatter.take(in.post("/v1/auth/register", squatter.registration(), nil), http.StatusCreated)
	for _, who := range []oidctest.Person{oidctest.Reader, oidctest.Namesake} {
		callback, browser := in.returned(who, plain)
		if got := browser.Visit(callback, appRedirect); got != appRedirect+"?error=account_exists" {
			t.Errorf("%s: the app is told %s", who.Subject, got)
		}
	}
	callback, browser := in.returned(oidctest.Unverified, plain)
	if got := browser.Visit(callback, appRedirect); got != appRedirect+"?error=exchange_failed" {
		t.Errorf("an address that the provider does not vouch for: the app is told %s", got)
	}
	if n := rows(t, in.papyrus, "users"); n != 1 {
		t.Errorf("%d accounts, want the one that was there", n)
	}
	if n := rows(t, in.papyrus, "user_identities"); n != 0 {
		t.Errorf("%d identities, want none", n)
	}
}

// TestProviderAccountsHaveNoPassword is the life of an account that was made by a sign-in at the provider.
func TestProviderAccountsHaveNoPassword(t *testing.T) {
	in := withProvider(t, app)
	papyrus := in.papyrus.URL("papyrus")
	signIn := func() *reader {
		r := &reader{t: t, email: oidctest.Reader.Email, password: record.NewSecret("password")}
		r.take(in.post("/v1/auth/exchange-code", exchange(in.code(oidctest.Reader, bound), verifier), nil), http.StatusOK)
		return r
	}
	first := signIn()

	stranger := &reader{t: t, email: "stranger@example.com", password: record.NewSecret("password")}
	unknown := in.post("/v1/auth/login", stranger.credentials(), nil)
	is(t, "log in to no account", unknown, "401 UNAUTHORIZED")
	if without := in.post("/v1/auth/login", first.credentials(), nil); without.Body != unknown.Body || without.Status != unknown.Status {
		t.Errorf("log in without a password: %v, want the answer to an unknown account: %v", without, unknown)
	}

	in.papyrus.Run("user", "disable", first.userID)
	callback, browser := in.returned(oidctest.Reader, plain)
	if got := browser.Visit(callback, appRedirect); got != appRedirect+"?error=account_disabled" {
		t.Errorf("a disabled account: the app is told %s", got)
	}
	in.papyrus.Run("user", "enable", first.userID)

	stale := signIn()
	change(t, in.papyrus, "UPDATE auth_sessions SET created_at = created_at - 301000000 WHERE revoked_at IS NULL") // microseconds
	is(t, "delete 301 s after the sign-in", stale.call(http.MethodDelete, papyrus+"/v1/users/me", ""), "403 FORBIDDEN")
	fresh := signIn()
	is(t, "delete right after the sign-in", fresh.call(http.MethodDelete, papyrus+"/v1/users/me", ""), "204")
	if n := rows(t, in.papyrus, "users") + rows(t, in.papyrus, "user_identities"); n != 0 {
		t.Errorf("%d rows are left of the account", n)
	}
}
