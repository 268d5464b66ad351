// Package httpapi is the one user of echo: what all services share of HTTP. The endpoints of each family stand in a package
// below, the concerns that cut across in package middleware. A handler decodes, calls the domain and encodes; it decides
// nothing.
package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
)

// Options are what every service's API is made of.
type Options struct {
	Service        string // names the service in logs and metrics
	Log            *slog.Logger
	Metrics        prometheus.Registerer
	Traces         trace.TracerProvider                               // nil for none
	Followed       []netip.Prefix                                     // callers that say whether a request is recorded, beside the services of this process
	Report         func(ctx context.Context, route string, err error) // hears of what becomes 500 INTERNAL_ERROR; nil for nobody
	Origins        *middleware.Origins                                // that browsers may call from
	CORS           middleware.CORSHeaders
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Dialect        func(path string) apierror.Dialect
}

// ProvisioningCORS are the CORS headers of sender and receiver (contract: provisioning, section 2).
var ProvisioningCORS = middleware.CORSHeaders{
	Methods: "GET, POST, OPTIONS",
	Headers: "content-type, authorization, idempotency-key, x-request-id, traceparent",
}

// FlatDialect is the dialect of services that speak apierror.Flat on every path.
func FlatDialect(string) apierror.Dialect { return apierror.Flat }

// New returns an echo without routes that answers every request, of whatever path and method, with a request id, CORS
// headers, and errors in the dialect of the path.
func New(o Options) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = middleware.ClientAddress(o.TrustedProxies, o.Log)
	e.HTTPErrorHandler = errorHandler{log: o.Log, report: o.Report, dialect: o.Dialect}.handle
	// Before the router, so that they hold for unknown paths too; the outermost first.
	e.Pre(
		middleware.Trailers,
		middleware.RequestID,
		middleware.Trace(o.Service, o.Traces, o.Followed),
		middleware.Observe(o.Service, o.Log, o.Metrics),
		middleware.Recover,
		middleware.CORS(o.Origins, o.CORS),
	)
	e.Use(middleware.Shed(o.Service, o.Metrics))
	return e
}

// Read registers a handler for GET and HEAD: echo answers HEAD with 405 otherwise.
func Read(e *echo.Echo, path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) {
	e.Match([]string{http.MethodGet, http.MethodHead}, path, h, m...)
}

// errHungUp is a request whose client is gone, whatever came of it: nobody's fault but his. The status is nginx's.
var errHungUp = apierror.New(499, "CLIENT_CLOSED_REQUEST", "the client closed the request")

type errorHandler struct {
	log     *slog.Logger
	report  func(ctx context.Context, route string, err error)
	dialect func(path string) apierror.Dialect
}

// handle writes err in the dialect of the path. Anything that is not an *apierror.Error is a bug or an outage: it is logged
// whole, and the client sees only INTERNAL_ERROR.
func (h errorHandler) handle(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	e := asAPIError(err)
	if errors.Is(c.Request().Context().Err(), context.Canceled) {
		e = errHungUp.With(err)
	}
	h.record(c.Request().Context(), c.Path(), e)
	if e.RetryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(seconds(e.RetryAfter)))
	}
	if e.Status == http.StatusUnauthorized && c.Response().Header().Get(echo.HeaderWWWAuthenticate) == "" {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer") // RFC 9110 §15.5.2
	}
	if err := WriteJSON(c, e.Status, h.dialect(c.Request().URL.Path).Body(e)); err != nil {
		h.log.DebugContext(c.Request().Context(), "error response not written", "err", err)
	}
}

func (h errorHandler) record(ctx context.Context, route string, e *apierror.Error) {
	switch {
	case e.Code == apierror.InternalError:
		h.log.ErrorContext(ctx, "request failed", "route", route, "err", e)
		if h.report != nil {
			h.report(ctx, route, e)
		}
	case e.Status >= http.StatusInternalServerError:
		h.log.WarnContext(ctx, "request failed", "route", route, "err", e)
	default:
		h.log.DebugContext(ctx, "request refused", "route", route, "err", e)
	}
}

// asAPIError also gives the router's own refusals their face.
func asAPIError(err error) *apierror.Error {
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch e.Code {
		case http.StatusNotFound:
			return apierror.New(e.Code, apierror.NotFound, "not found")
		case http.StatusMethodNotAllowed:
			return apierror.New(e.Code, apierror.MethodNotAllowed, "method not allowed")
		}
	}
	return apierror.From(err)
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// WriteJSON is the one writer of responses with a body.
func WriteJSON(c echo.Context, status int, v any) error {
	c.Response().Header().Set(echo.HeaderContentType, "application/json; charset=utf-8")
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	return c.Echo().JSONSerializer.Serialize(c, v, "")
}

// WriteRaw writes body, which is JSON, byte for byte.
func WriteRaw(c echo.Context, status int, body []byte) error {
	c.Response().Header().Set(echo.HeaderContentType, "application/json; charset=utf-8")
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := c.Response().Write(body)
	return err
}

// WriteCacheable writes v for everybody, to be kept for maxAge, or 304 to whoever has it (RFC 9110 §13.1.2).
func WriteCacheable(c echo.Context, v any, maxAge time.Duration) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	sum := sha256.Sum256(body)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/json; charset=utf-8")
	h.Set(echo.HeaderCacheControl, "public, max-age="+strconv.Itoa(seconds(maxAge)))
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	c.Request().Header.Del("Range") // the refusal of a bad one would not be JSON
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(body))
	return nil
}

// NoStore says that the answer holds a token, a key or a verification, and is nobody's to keep.
func NoStore(c echo.Context) { c.Response().Header().Set("Cache-Control", "no-store") }

// Bearer returns the token of an Authorization header of the Bearer scheme (RFC 6750 §2.1), "" where there is not exactly one.
func Bearer(c echo.Context) string {
	values := c.Request().Header.Values(echo.HeaderAuthorization)
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
