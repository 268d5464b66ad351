// Package papyrus is the accounts service's own API (contract: papyrus). The Supabase API of the same accounts is package
// supabaseapi; New puts both behind one handler.
package papyrus

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// verifyPath is where proxies ask about keys.
const verifyPath = "/v1/keys/verify"

// cors are the CORS headers of contract papyrus, section 1.
var cors = middleware.CORSHeaders{
	Methods: "GET, POST, PUT, PATCH, DELETE, OPTIONS",
	Headers: "authorization, content-type, x-user-agent, apikey, x-client-info, x-supabase-api-version, idempotency-key, x-request-id, traceparent",
	Except:  verifyPath,
}

// Config is what the API is made of; every field is needed.
type Config struct {
	Options httpapi.Options // Service, CORS and Dialect are set here
	Keys    *apikey.Service
	Limiter ratelimit.Limiter // of the keys' tiers
}

type api struct {
	Config
}

// New returns the accounts service's API, with the routes that mount adds.
func New(c Config, mount ...func(*echo.Echo)) http.Handler {
	c.Options.Service, c.Options.CORS, c.Options.Dialect = "papyrus", cors, dialect
	a := api{Config: c}
	e := httpapi.New(c.Options)
	httpapi.Read(e, "/health", a.health)
	for _, path := range []string{verifyPath, verifyPath + "/*"} {
		e.Any(path, a.verifyKey)
		e.RouteNotFound(path, a.verifyKey) // for the methods that echo does not know
	}
	for _, add := range mount {
		add(e)
	}
	return e
}

// dialect gives the error shape of a path (contract: papyrus, section 1).
func dialect(path string) apierror.Dialect {
	switch {
	case strings.HasPrefix(path, "/auth/v1"):
		return apierror.Supabase
	case strings.HasPrefix(path, "/functions/v1"):
		return apierror.Flat
	}
	return apierror.Nested
}

type health struct {
	Status string `json:"status"`
}

// health serves GET /health.
func (a api) health(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, health{Status: "healthy"})
}
