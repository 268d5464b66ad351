package oidc

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/provisioner/provisioner/pkg/text"
)

const (
	maxRedirectLen = 2048
	loopbackScheme = "http://"
	loopbackPath   = "/auth/callback"
)

// Redirects is the list of the places in apps to which users may be sent with a code. The zero value allows only loopback.
type Redirects struct {
	allowed []string
}

// NewRedirects returns the list of allowed. It reports the first of them that is no plain redirect: an absolute URI with a
// host and a path, without user, fragment, wildcard, escapes, or a parameter that is repeated or is ours to add.
func NewRedirects(allowed []string) (*Redirects, error) {
	for i, raw := range allowed {
		if err := checkRedirect(raw); err != nil {
			return nil, fmt.Errorf("redirect number %d %w", i+1, err)
		}
	}
	return &Redirects{allowed: slices.Clone(allowed)}, nil
}

// Allows reports whether raw is one of the list, character by character, so that no two parsers can disagree on what it is
// (RFC 9700 §4.1.3). Apps that listen on a port of the moment may also use http://127.0.0.1:<port>/auth/callback and
// http://[::1]:<port>/auth/callback, if they have a PKCE challenge (RFC 8252 §7.3): any program of the machine can listen there.
func (r *Redirects) Allows(raw string, challenged bool) bool {
	return slices.Contains(r.allowed, raw) || challenged && isLoopback(raw)
}

// isLoopback takes a loopback redirect in its one canonical spelling.
func isLoopback(raw string) bool {
	host, hasScheme := strings.CutPrefix(raw, loopbackScheme)
	host, hasPath := strings.CutSuffix(host, loopbackPath)
	if !hasScheme || !hasPath {
		return false
	}
	at, err := netip.ParseAddrPort(host)
	if err != nil || at.Port() == 0 || at.String() != host {
		return false
	}
	return at.Addr() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || at.Addr() == netip.IPv6Loopback()
}

// scriptSchemes are run or read by a browser instead of being opened by an app.
var scriptSchemes = []string{"about", "blob", "data", "file", "javascript", "vbscript"}

// checkRedirect says what keeps raw out of a list.
func checkRedirect(raw string) error {
	if !text.IsPrintableASCII(raw, maxRedirectLen) || strings.ContainsAny(raw, ` \%*#`) {
		return errors.New(`is empty, too long, or has one of: space, \, %, *, #, non-ASCII`)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("is no URI")
	case u.String() != raw:
		return errors.New("is not in its plain spelling")
	case u.Scheme == "" || u.Hostname() == "" || strings.HasSuffix(u.Hostname(), "."):
		return errors.New("is not scheme://host/path")
	case u.User != nil:
		return errors.New("names a user")
	case slices.Contains(scriptSchemes, u.Scheme):
		return errors.New("is of a scheme that no app has")
	case u.Path == "" || strings.TrimSuffix(u.Path, "/") != strings.TrimSuffix(path.Clean(u.Path), "/"):
		return errors.New("has no path, or one with dots or empty parts")
	}
	return checkQuery(u.RawQuery)
}

func checkQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("has no valid query")
	}
	for name, values := range query {
		if len(values) > 1 {
			return errors.New("repeats a parameter")
		}
		if name == "code" || name == "error" {
			return errors.New("has a parameter that is added for the app")
		}
	}
	return nil
}

// AppRedirect returns redirectURI, one that [Redirects] allows, with params added to its query: a code, or an error.
func AppRedirect(redirectURI string, params url.Values) string {
	separator := "?"
	if strings.Contains(redirectURI, separator) {
		separator = "&"
	}
	return redirectURI + separator + params.Encode()
}
