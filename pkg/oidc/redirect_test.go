package oidc_test

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/oidc"
)

var allowed = []string{appRedirect, localApp, "https://app.example.com/auth/callback", "https://app.example.com/login?from=papyrus"}

func mustRedirects(t testing.TB) *oidc.Redirects {
	t.Helper()
	r, err := oidc.NewRedirects(allowed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRedirectsOfTheList(t *testing.T) {
	r := mustRedirects(t)
	for _, raw := range allowed {
		if !r.Allows(raw, false) || !r.Allows(raw, true) {
			t.Errorf("%s is refused", raw)
		}
	}
}

func TestLoopbackRedirects(t *testing.T) {
	r := mustRedirects(t)
	for _, raw := range []string{
		"http://127.0.0.1:1/auth/callback", "http://127.0.0.1:65535/auth/callback", "http://[::1]:5000/auth/callback",
	} {
		if !r.Allows(raw, true) {
			t.Errorf("%s is refused with a challenge", raw)
		}
		if r.Allows(raw, false) {
			t.Errorf("%s is allowed without a challenge", raw)
		}
	}
	for name, raw := range map[string]string{
		"https":               "https://127.0.0.1:5000/auth/callback",
		"a name":              "http://localhost:5000/auth/callback",
		"another loopback":    "http://127.0.0.2:5000/auth/callback",
		"mapped to IPv6":      "http://[::ffff:127.0.0.1]:5000/auth/callback",
		"a zone":              "http://[::1%25lo]:5000/auth/callback",
		"IPv6 in full":        "http://[0:0:0:0:0:0:0:1]:5000/auth/callback",
		"a decimal address":   "http://2130706433:5000/auth/callback",
		"a short address":     "http://127.1:5000/auth/callback",
		"an octal address":    "http://0177.0.0.1:5000/auth/callback",
		"no port":             "http://127.0.0.1/auth/callback",
		"port 0":              "http://127.0.0.1:0/auth/callback",
		"a port with zeros":   "http://127.0.0.1:05000/auth/callback",
		"a port out of range": "http://127.0.0.1:65536/auth/callback",
		"all interfaces":      "http://0.0.0.0:5000/auth/callback",
		"another path":        "http://127.0.0.1:5000/auth/callback/x",
		"a path before it":    "http://127.0.0.1:5000/x/auth/callback",
		"a query":             "http://127.0.0.1:5000/auth/callback?x=1",
		"a query before it":   "http://127.0.0.1:5000?/auth/callback",
		"a user":              "http://127.0.0.1:5000@evil.example:80/auth/callback",
	} {
		if r.Allows(raw, true) {
			t.Errorf("%s: %s is allowed", name, raw)
		}
	}
}

func TestUserinfoInRedirect(t *testing.T) {
	wantRefused(t,
		"https://app.example.com@evil.example/auth/callback", "https://user@app.example.com/auth/callback",
		"https://user:pass@app.example.com/auth/callback", "https://@app.example.com/auth/callback",
		"http://localhost:43821@evil.example/auth/callback", "papyrus://x@auth/callback",
		`https://app.example.com\@evil.example/auth/callback`, "https://app.example.com%40evil.example/auth/callback",
	)
}

func TestFragmentInRedirect(t *testing.T) {
	wantRefused(t, appRedirect+"#", appRedirect+"#x", "https://evil.example#https://app.example.com/auth/callback")
}

func TestRepeatedParametersInRedirect(t *testing.T) {
	wantRefused(t,
		"https://app.example.com/login?from=papyrus&from=papyrus", "https://app.example.com/login?from=papyrus&from=evil",
		appRedirect+"?code=a&code=b", appRedirect+"?x=1", appRedirect+"?", "https://app.example.com/login?",
	)
}

func TestOtherPathsInRedirect(t *testing.T) {
	wantRefused(t,
		"https://app.example.com", "https://app.example.com/", "https://app.example.com/auth/callback/",
		"https://app.example.com/auth/callback/../../evil", "https://app.example.com/x/../auth/callback",
		"https://app.example.com//auth/callback", "https://app.example.com/./auth/callback",
		"https://app.example.com/auth%2Fcallback", "https://app.example.com/auth%2fcallback", "https://app.example.com/auth/callbac%6B",
		"https://app.example.com/AUTH/callback", "https://app.example.com/auth/callback;x", "https://app.example.com/login",
		`https://app.example.com\auth\callback`, "https:/app.example.com/auth/callback", "https:app.example.com/auth/callback",
	)
}

func TestOtherSchemesAndHostsInRedirect(t *testing.T) {
	wantRefused(t,
		"http://app.example.com/auth/callback", "https://localhost:43821/auth/callback", "javascript://auth/callback",
		"data:text/html,x", "PAPYRUS://auth/callback", "papyrus:auth/callback", "papyrus2://auth/callback", "//auth/callback", "/auth/callback",
		"https://app.example.com./auth/callback", "https://app.example.com:443/auth/callback", "https://APP.example.com/auth/callback",
		"https://evil.app.example.com/auth/callback", "https://app.example.com.evil.example/auth/callback",
		"https://аpp.example.com/auth/callback", "http://localhost:43822/auth/callback", "http://localhost/auth/callback",
	)
}

func TestControlCharactersInRedirect(t *testing.T) {
	wantRefused(t,
		" "+appRedirect, appRedirect+" ", appRedirect+"\n", "\t"+appRedirect, appRedirect+"\x00", "papyrus://auth/\rcallback",
		"papyrus://auth/callback\r\nSet-Cookie: x=y", "\ufeff"+appRedirect, "",
	)
}

func wantRefused(t *testing.T, redirects ...string) {
	t.Helper()
	r := mustRedirects(t)
	for _, raw := range redirects {
		if r.Allows(raw, true) {
			t.Errorf("%q is allowed", raw)
		}
	}
}

func TestNewRedirectsRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing":                  "",
		"no URI":                   "https://[::1/auth/callback",
		"a relative URI":           "/auth/callback",
		"no host":                  "papyrus:///auth/callback",
		"an opaque URI":            "mailto:reader@example.com",
		"no path":                  "https://app.example.com",
		"a user":                   "https://user@app.example.com/auth/callback",
		"an empty user":            "https://@app.example.com/auth/callback",
		"a fragment":               "https://app.example.com/auth/callback#x",
		"an empty fragment":        "https://app.example.com/auth/callback#",
		"an escaped slash":         "https://app.example.com/auth%2Fcallback",
		"a backslash":              `https://app.example.com\auth/callback`,
		"a control character":      "https://app.example.com/auth/callback\n",
		"a letter beyond ASCII":    "https://äpp.example.com/auth/callback",
		"a wildcard":               "https://*.example.com/auth/callback",
		"a dot after the host":     "https://app.example.com./auth/callback",
		"dots in the path":         "https://app.example.com/x/../auth/callback",
		"an empty part":            "https://app.example.com//auth/callback",
		"only empty parts":         "https://app.example.com//",
		"a scheme in upper case":   "HTTPS://app.example.com/auth/callback",
		"a script":                 "javascript://app.example.com/auth/callback",
		"a repeated parameter":     "https://app.example.com/auth/callback?x=1&x=2",
		"a parameter that is ours": "https://app.example.com/auth/callback?code=x",
		"a semicolon in the query": "https://app.example.com/auth/callback?a;b",
		"a very long one":          "https://app.example.com/" + strings.Repeat("a", 2048),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := oidc.NewRedirects([]string{appRedirect, raw}); err == nil || !strings.HasPrefix(err.Error(), "redirect number 2 ") {
				t.Errorf("NewRedirects(%q) = %v", raw, err)
			}
		})
	}
}

func TestNewRedirectsTakes(t *testing.T) {
	for _, raw := range []string{
		"com.example.papyrus://callback/", "https://app.example.com/", "http://192.168.1.5:3000/auth/callback", "https://[2001:db8::1]:8443/cb?a=1&b=2",
	} {
		if _, err := oidc.NewRedirects([]string{raw}); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestAppRedirect(t *testing.T) {
	for _, tt := range []struct {
		redirect string
		params   url.Values
		want     string
	}{
		{appRedirect, url.Values{"code": {"a+b/c="}}, "papyrus://auth/callback?code=a%2Bb%2Fc%3D"},
		{"https://app.example.com/login?from=papyrus", url.Values{"error": {"access_denied"}}, "https://app.example.com/login?from=papyrus&error=access_denied"},
	} {
		if got := oidc.AppRedirect(tt.redirect, tt.params); got != tt.want {
			t.Errorf("AppRedirect(%s) = %s, want %s", tt.redirect, got, tt.want)
		}
	}
}

// FuzzRedirect: what is allowed is, once parsed, literally scheme, host and path of the list, or of a loopback address.
func FuzzRedirect(f *testing.F) {
	for _, raw := range allowed {
		f.Add(raw, false)
	}
	f.Add("http://127.0.0.1:5000/auth/callback", true)
	f.Add("http://[::1]:5000/auth/callback", true)
	f.Add("http://127.0.0.1:5000@evil.example:80/auth/callback", true)
	f.Add(`https://app.example.com\@evil.example/auth/callback`, false)
	f.Add("https://app.example.com/auth%2Fcallback?x=1&x=2#f", true)
	redirects := mustRedirects(f)
	f.Fuzz(func(t *testing.T, raw string, challenged bool) {
		if !redirects.Allows(raw, challenged) {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || strings.Contains(raw, "#") || u.String() != raw {
			t.Fatalf("%q is allowed: %v", raw, err)
		}
		if slices.Contains(allowed, u.String()) {
			return
		}
		at, err := netip.ParseAddrPort(u.Host)
		if err != nil || !at.Addr().IsLoopback() || u.Scheme != "http" || u.EscapedPath() != "/auth/callback" || u.RawQuery != "" || !challenged {
			t.Errorf("%q is allowed", raw)
		}
	})
}
