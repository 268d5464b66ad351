// Package receiver is the internal side: it takes signed requests and nothing else (contract: provisioning, sections 1 and 3).
package receiver

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/openapi"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/signing"
)

// budget is how long a request may take: less than a sender waits by default.
const budget = 6 * time.Second

// Config is what the API is made of; every field is needed.
type Config struct {
	Options   httpapi.Options // Service, CORS and Dialect are set here
	Verifier  *signing.Verifier
	Receiver  *provision.Receiver
	BodyLimit int64 // the longest body, in bytes
}

type api struct {
	Config
	signature signature
}

// New returns the receiver's API.
func New(c Config) http.Handler {
	c.Options.Service, c.Options.CORS, c.Options.Dialect = "receiver", httpapi.ProvisioningCORS, httpapi.FlatDialect
	a := api{Config: c, signature: newSignature(c.Verifier, c.Options.Log, c.Options.Metrics)}
	e := httpapi.New(c.Options)
	httpapi.Read(e, "/health", a.health)
	e.POST("/inbox", a.inbox, middleware.Budget(budget))
	openapi.Mount(e, Document, "Provisioner: receiver")
	return e
}

type health struct {
	OK      bool   `json:"ok"`
	Service string `json:"service"`
}

// health serves GET /health.
func (a api) health(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, health{true, "receiver-worker"})
}

type provisioned struct {
	OK     bool   `json:"ok"`
	Token  string `json:"token"`
	KeyID  string `json:"keyId"`
	Prefix string `json:"prefix"`
	Tier   string `json:"tier"`
}

// inbox serves POST /inbox: a signed request to 200 {"ok":true,"token","keyId","prefix","tier"} or
// {"ok":true,"received":<the body's own bytes>}. Codes: those of the signature, JSON_PARSE_ERROR, MISSING_FIELDS,
// INVALID_FIELD, UNKNOWN_ACTION, INVALID_AUTH, FORBIDDEN, INVALID_NAME, UNKNOWN_TIER, TIER_NOT_ALLOWED, QUOTA_EXCEEDED,
// IDEMPOTENCY_KEY_REUSED, PROVISION_ERROR, PROVISION_TIMEOUT, IDENTITY_UNAVAILABLE, IDENTITY_TIMEOUT, STORE_UNAVAILABLE.
func (a api) inbox(c echo.Context) error {
	headers, body, err := readSigned(c, a.BodyLimit)
	if err != nil {
		return challenged(c, err)
	}
	in, err := a.signature.verify(c.Request().Context(), headers, body)
	if err != nil {
		return challenged(c, err)
	}
	in.IdempotencyKeys = c.Request().Header.Values("Idempotency-Key")

	ctx := provision.WithClient(c.Request().Context(), c.RealIP())
	outcome, err := a.Receiver.Receive(ctx, in)
	if err != nil {
		return err
	}
	return write(c, outcome)
}

func write(c echo.Context, o provision.Outcome) error {
	if o.Key == nil {
		body := make([]byte, 0, len(o.Received)+len(`{"ok":true,"received":}`))
		body = append(body, `{"ok":true,"received":`...)
		body = append(body, o.Received...)
		return httpapi.WriteRaw(c, http.StatusOK, append(body, '}'))
	}
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusOK, provisioned{
		OK: true, Token: o.Key.Token.Reveal(), KeyID: o.Key.ID, Prefix: o.Key.Prefix, Tier: o.Key.Tier,
	})
}
