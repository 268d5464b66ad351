// Package papyrus is the accounts service's own API (contract: papyrus). The Supabase API of the same accounts is package
// supabaseapi; New puts both behind one handler.
package papyrus

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/openapi"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/token"
)

// Config is what the API is made of; every field is needed but those that say what their zero value means.
type Config struct {
	Options       httpapi.Options // Service, CORS and Dialect are set here
	Accounts      *account.Service
	Keys          *apikey.Service
	Flow          *oidc.Flow             // nil: no provider is configured
	PowerSync     *token.PowerSyncIssuer // nil: there are no PowerSync tokens
	PowerSyncKeys token.Ring
	Audit         audit.Store
	Events        event.Store
	Limiter       ratelimit.Limiter
	Auth          ratelimit.Limit // of the attempts of one network; zero turns all rules for attempts off
	BodyLimit     int64           // the longest body but an upload's, in bytes
	Prefix        string          // of the API's paths: "/v1"
	PublicBaseURL *url.URL        // where browsers reach this service
	DataSyncURL   string          // where devices reach the PowerSync Service
	Uploads       *library.Uploader
	UploadMemory  int64 // that uploads under way may take together, in bytes
	Library       library.Store
}

type api struct {
	Config
	attempts    *middleware.Attempts
	uploadRoom  uploadRoom
	uploadCount *prometheus.CounterVec
}

// New returns the accounts service's API, with the routes that mount adds.
func New(c Config, mount ...func(*echo.Echo)) http.Handler {
	c.Options.Service, c.Options.CORS, c.Options.Dialect = "papyrus", cors(c.Prefix), dialect(c.Prefix)
	a := api{
		Config: c, attempts: middleware.NewAttempts(ratelimit.NewAttempts(c.Limiter, c.Auth)),
		uploadRoom: newUploadRoom(c.UploadMemory), uploadCount: newUploadCounter(c.Options.Metrics),
	}
	a.uploadRoom.bound().Register(c.Options.Metrics)
	e := httpapi.New(c.Options)
	e.Use(middleware.Origin)
	httpapi.Read(e, "/health", a.health)
	a.mountAuth(e)
	a.mountUsers(e)
	a.mountSync(e)
	a.mountKeys(e)
	openapi.Mount(e, openapi.WithPrefix(Document, c.Prefix), "Provisioner: papyrus")
	for _, add := range mount {
		add(e)
	}
	return e
}

func (a api) mountAuth(e *echo.Echo) {
	auth := a.Prefix + "/auth"
	e.POST(auth+"/register", open(a.register))
	e.POST(auth+"/login", open(a.login))
	e.POST(auth+"/refresh", open(a.refresh))
	e.POST(auth+"/logout", a.signedIn(a.logout))
	e.POST(auth+"/logout-all", a.signedIn(a.logoutAll))

	httpapi.Read(e, auth+"/sessions", a.signedIn(a.sessions))
	e.DELETE(auth+"/sessions/:id", a.signedIn(a.revokeSession))

	httpapi.Read(e, auth+"/oauth/google/start", open(a.startSignIn))
	httpapi.Read(e, a.Prefix+CallbackPath, open(a.callback))
	e.POST(auth+"/exchange-code", open(a.exchangeCode))
	e.POST(auth+"/link/google/start", a.signedIn(a.startLink))
	e.POST(auth+"/link/google/complete", a.signedIn(a.completeLink))

	e.POST(auth+"/verify-email", open(a.verifyEmail))
	e.POST(auth+"/resend-verification", open(a.resendVerification))
	e.POST(auth+"/forgot-password", open(a.forgotPassword))
	e.POST(auth+"/reset-password", open(a.resetPassword))

	e.POST(auth+"/powersync-token", a.signedIn(a.powerSyncToken))
	httpapi.Read(e, auth+"/jwks", open(a.jwks))
}

func (a api) mountUsers(e *echo.Echo) {
	me := a.Prefix + "/users/me"
	httpapi.Read(e, me, a.signedIn(a.me))
	e.PATCH(me, a.signedIn(a.updateMe))
	e.DELETE(me, a.signedIn(a.deleteMe))
	e.POST(me+"/change-password", a.signedIn(a.changePassword))
	httpapi.Read(e, me+"/preferences", a.signedIn(a.preferences))
	e.PUT(me+"/preferences", a.signedIn(a.setPreferences))
	httpapi.Read(e, me+"/export", a.signedIn(a.export))
}

// open makes a handler of one that anybody may call.
func open(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error { return refusal(h(c)) }
}

// signedIn makes a handler of one for whoever has an access token. What it answers concerns one user, and is nobody's to
// keep. Codes: UNAUTHORIZED without a token, INVALID_TOKEN, SESSION_REVOKED.
func (a api) signedIn(h func(echo.Context, account.Principal) error) echo.HandlerFunc {
	return open(func(c echo.Context) error {
		httpapi.NoStore(c)
		bearer := httpapi.Bearer(c)
		if bearer == "" {
			return errNoToken
		}
		who, err := a.Accounts.Authenticate(c.Request().Context(), bearer)
		if err != nil {
			return err
		}
		return h(c, who)
	})
}

// cors are the CORS headers of contract papyrus, section 1.
func cors(prefix string) middleware.CORSHeaders {
	return middleware.CORSHeaders{
		Methods: "GET, POST, PUT, PATCH, DELETE, OPTIONS",
		Headers: "authorization, content-type, x-user-agent, apikey, x-client-info, x-supabase-api-version, idempotency-key, x-request-id, traceparent",
		Except:  verifyPath(prefix),
	}
}

// verifyPath returns where proxies ask about keys.
func verifyPath(prefix string) string { return prefix + "/keys/verify" }

// dialect returns the error shape of each path (contract: papyrus, section 1).
func dialect(prefix string) func(path string) apierror.Dialect {
	return func(path string) apierror.Dialect {
		switch {
		case isPowerSync(path):
			return apierror.PowerSync
		case strings.HasPrefix(path, prefix+"/") && prefix != "":
			return apierror.Nested
		case strings.HasPrefix(path, "/auth/v1"):
			return apierror.Supabase
		case strings.HasPrefix(path, "/functions/v1"):
			return apierror.Flat
		}
		return apierror.Nested
	}
}

// isPowerSync reports whether a path is one of the sync protocol. With API_PREFIX "" others of ours are below /sync too.
func isPowerSync(path string) bool {
	switch path {
	case middleware.StreamPath, "/sync/checkpoint-request", "/write-checkpoint2.json":
		return true
	}
	return strings.HasPrefix(path, "/probes/")
}

// health serves GET /health.
func (a api) health(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, health{Status: "healthy"})
}

// settings serves GET /v1/sync/settings: where a device syncs, and what with.
func (a api) settings(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, syncSettings{DataSyncURL: a.DataSyncURL})
}
