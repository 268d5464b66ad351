package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// parseOrigins reads a list of origins into the form in which browsers send them: lower case, without default port.
func parseOrigins(text string) ([]string, error) {
	entries, err := parseList(text)
	if err != nil {
		return nil, err
	}
	var origins []string
	for i, entry := range entries {
		origin, err := parseOrigin(entry)
		if err != nil {
			return nil, fmt.Errorf("has an origin (number %d) that %w", i+1, err)
		}
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins, nil
}

func parseOrigin(text string) (string, error) {
	if text == "*" {
		return "", errors.New("is *: name each origin, or use https://*.example.com")
	}
	u, err := url.Parse(strings.ToLower(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", errors.New("is not scheme://host[:port] with http or https")
	}
	if u.User != nil || u.Path != "" || strings.ContainsAny(text, "?#") {
		return "", errors.New("holds more than scheme, host and port; leave out the path, also a closing slash")
	}
	if err := checkOriginHost(u.Hostname()); err != nil {
		return "", err
	}
	if u.Port() == "80" && u.Scheme == "http" || u.Port() == "443" && u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.Scheme + "://" + u.Host, nil
}

// checkOriginHost refuses wildcards but one whole leading label in front of two more, or of localhost: *.com would be
// anybody.
func checkOriginHost(host string) error {
	name, wild := strings.CutPrefix(host, "*.")
	switch {
	case strings.Contains(name, "*"):
		return errors.New("has a * elsewhere than as its whole first label")
	case wild && name != "localhost" && !strings.Contains(strings.Trim(name, "."), "."):
		return errors.New("has a wildcard over a whole top-level domain")
	}
	if _, err := netip.ParseAddr(name); err == nil && !wild {
		return nil
	}
	if !hostName.MatchString(name) || strings.Contains(name, "..") {
		return errors.New("has a host that is neither a name nor an IP address")
	}
	return nil
}

// exposed reports whether origin is plain http outside this machine.
func exposed(origin string) bool {
	u, err := url.Parse(strings.Replace(origin, "*.", "", 1))
	return err == nil && u.Scheme == "http" && !IsLoopback(u.Hostname())
}
