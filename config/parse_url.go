package config

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/provisioner/provisioner/pkg/secret"
)

// parseBaseURL reads an http or https URL that paths are appended to.
func parseBaseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("is not an http or https URL with a host")
	case u.User != nil:
		return nil, errors.New("holds a user name or password")
	case strings.ContainsAny(text, "?#"):
		return nil, errors.New("has a query or fragment")
	}
	return u, nil
}

// StaysInside reports whether plain http to u does not leave this host or cluster: loopback, a single-label name, or a
// Kubernetes service.
func StaysInside(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if IsLoopback(host) || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err != nil && !strings.Contains(host, ".")
}

// parseDatabase reads sqlite:PATH or a Postgres URL; several hosts in one URL are the driver's business.
func parseDatabase(text string) (Database, error) {
	text = strings.TrimSpace(text)
	if path, ok := strings.CutPrefix(text, "sqlite:"); ok {
		if path == "" {
			return Database{}, errors.New("names no SQLite file")
		}
		return Database{Engine: SQLite, Path: path}, nil
	}
	scheme, rest, _ := strings.Cut(text, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return Database{}, errors.New("begins with none of sqlite:, postgres://, postgresql://")
	}
	if _, err := url.Parse(text); rest == "" || err != nil && !strings.Contains(rest, ",") {
		return Database{}, errors.New("is not a Postgres URL (escape special characters of the password, such as %40 for @)")
	}
	return Database{Engine: Postgres, URL: secret.New(text)}, nil
}

func parseRedis(text string) (secret.Text, error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return secret.Text{}, errors.New("is not a URL")
	case u.Scheme == "unix" && u.Path != "", (u.Scheme == "redis" || u.Scheme == "rediss") && u.Host != "":
		return secret.New(text), nil
	}
	return secret.Text{}, errors.New("is not of the form redis://, rediss:// or unix://")
}

// dsnProject matches the path of a DSN, which ends in the number of a project.
var dsnProject = regexp.MustCompile(`/[0-9]+$`)

// parseDSN reads what Sentry calls a DSN: a URL with a public key as its user, and the id of a project as its path.
func parseDSN(text string) (secret.Text, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User.Username() == "" || !dsnProject.MatchString(u.Path) {
		return secret.Text{}, errors.New("is not of the form https://<key>@<host>/<project>")
	}
	return secret.New(text), nil
}
