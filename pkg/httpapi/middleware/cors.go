package middleware

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// CORSHeaders are the values that a service sends to allowed origins.
type CORSHeaders struct {
	Methods string // Access-Control-Allow-Methods
	Headers string // Access-Control-Allow-Headers
	Except  string // the path, with all below it, that proxies call with headers of their clients; "" for none
}

// except reports whether CORS has no say on path: an Origin there is none of ours, and a preflight must not pass unchecked.
func (h CORSHeaders) except(path string) bool {
	below, ok := strings.CutPrefix(path, h.Except)
	return h.Except != "" && ok && (below == "" || below[0] == '/')
}

const (
	exposedHeaders = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, x-request-id"
	maxAge         = "86400" // seconds that a browser may remember a preflight
)

// Origins are the origins that browsers may call from. They can be replaced while requests are served.
type Origins struct {
	set atomic.Pointer[originSet]
}

type originSet struct {
	exact     map[string]bool
	wildcards []wildcard
}

// wildcard stands for every origin with one label before suffix: "https://*.example.com".
type wildcard struct {
	scheme string // with "://"
	suffix string // with its leading dot
}

// NewOrigins returns Origins of patterns: exact origins, and ones with a leading wildcard label. Their form is checked by
// whoever reads them.
func NewOrigins(patterns []string) *Origins {
	o := new(Origins)
	o.Replace(patterns)
	return o
}

// Replace puts patterns in place of the origins.
func (o *Origins) Replace(patterns []string) {
	set := &originSet{exact: make(map[string]bool)}
	for _, p := range patterns {
		if scheme, suffix, ok := strings.Cut(p, "*"); ok {
			set.wildcards = append(set.wildcards, wildcard{scheme: scheme, suffix: suffix})
			continue
		}
		set.exact[p] = true
	}
	o.set.Store(set)
}

func (o *Origins) allows(origin string) bool {
	set := o.set.Load()
	return set.exact[origin] || slices.ContainsFunc(set.wildcards, func(w wildcard) bool {
		label, ok := strings.CutPrefix(origin, w.scheme)
		label, ends := strings.CutSuffix(label, w.suffix)
		return ok && ends && label != "" && !strings.ContainsAny(label, "./:@?#")
	})
}

// CORS answers preflights, adds CORS headers for allowed origins, and refuses requests from others with 403 FORBIDDEN
// (contract: provisioning, section 2). A service's own origin is allowed. It is no security boundary: a caller without an
// Origin passes.
func CORS(origins *Origins, headers CORSHeaders) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, h := c.Request(), c.Response().Header()
			h.Set(echo.HeaderVary, echo.HeaderOrigin)
			if headers.except(r.URL.Path) {
				return next(c)
			}
			origin := r.Header.Get(echo.HeaderOrigin)
			allowed := origin != "" && (origins.allows(origin) || isOwn(origin, r.Host))
			if allowed {
				h.Set(echo.HeaderAccessControlAllowOrigin, origin)
				h.Set(echo.HeaderAccessControlExposeHeaders, exposedHeaders)
			}

			switch {
			case r.Method == http.MethodOptions && allowed:
				h.Set(echo.HeaderAccessControlAllowMethods, headers.Methods)
				h.Set(echo.HeaderAccessControlAllowHeaders, headers.Headers)
				h.Set(echo.HeaderAccessControlMaxAge, maxAge)
				return c.NoContent(http.StatusNoContent)
			case r.Method == http.MethodOptions:
				return c.NoContent(http.StatusNoContent)
			case origin != "" && !allowed:
				return apierror.New(http.StatusForbidden, apierror.Forbidden, "the origin is not allowed")
			}
			return next(c)
		}
	}
}

func isOwn(origin, host string) bool { return origin == "https://"+host || origin == "http://"+host }
