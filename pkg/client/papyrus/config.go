package papyrus

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// DefaultAPIBaseURL is where a server on this machine listens.
const DefaultAPIBaseURL = "http://localhost:8080"

// Config says where the servers are.
type Config struct {
	APIBaseURL   string // of papyrus, without /v1; https, or http on loopback
	PowerSyncURL string // base URL of the sync service; "" asks papyrus
}

// ConfigFromEnvironment reads PAPYRUS_API_BASE_URL (by default [DefaultAPIBaseURL]) and POWERSYNC_SERVICE_URL with getenv.
func ConfigFromEnvironment(getenv func(string) string) (Config, error) {
	c := Config{APIBaseURL: DefaultAPIBaseURL}
	var errs [2]error
	if raw := getenv("PAPYRUS_API_BASE_URL"); raw != "" {
		c.APIBaseURL, errs[0] = baseURL("PAPYRUS_API_BASE_URL", raw)
	}
	if raw := getenv("POWERSYNC_SERVICE_URL"); raw != "" {
		c.PowerSyncURL, errs[1] = baseURL("POWERSYNC_SERVICE_URL", raw)
	}
	return c, errors.Join(errs[:]...)
}

// baseURL returns raw without the slash at its end. Tokens go there: it must be https, or on this machine.
func baseURL(name, raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", fmt.Errorf("%s is no URL such as https://api.example.com", name)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%s has a user, a query or a fragment: give scheme, host and path alone", name)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return "", fmt.Errorf("%s is %s://%s: tokens go over https alone, and http only to localhost", name, u.Scheme, u.Host)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
