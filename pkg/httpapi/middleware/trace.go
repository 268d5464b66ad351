package middleware

import (
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/binding"
	"github.com/provisioner/provisioner/pkg/requestid"
	"github.com/provisioner/provisioner/pkg/tracing"
)

// Trace puts the request into the trace that its traceparent names, and records it there as a span with traces; nil records nothing.
// The span is named by method and route. A stream has none: it lasts as long as devices like. Whether requests of the callers that are
// followed are recorded is for these to say; the trace of anybody else goes on, by chance recorded or not.
func Trace(service string, traces trace.TracerProvider, followed []netip.Prefix) echo.MiddlewareFunc {
	if traces == nil {
		return follow
	}
	t := tracer{Tracer: traces.Tracer(tracing.Scope), service: attribute.String("provisioner.service", service), followed: followed}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		recorded := t.record(next)
		return follow(func(c echo.Context) error {
			if c.Request().URL.Path == StreamPath {
				return next(c)
			}
			return recorded(c)
		})
	}
}

// follow puts the request into its caller's trace. A bound caller's is in the context already.
func follow(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, named := c.Request().Header[tracing.Traceparent]; named && !binding.Bound(c.Request().Context()) {
			c.SetRequest(c.Request().WithContext(tracing.Extract(c.Request().Context(), c.Request().Header)))
		}
		return next(c)
	}
}

type tracer struct {
	trace.Tracer
	service  attribute.KeyValue
	followed []netip.Prefix
}

func (t tracer) record(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		if contains(t.followed, peerAddress(c.Request().RemoteAddr)) {
			ctx = tracing.Trust(ctx)
		}
		ctx, span := t.Start(ctx, knownMethod(c.Request().Method), trace.WithSpanKind(trace.SpanKindServer))
		c.SetRequest(c.Request().WithContext(ctx))
		defer t.end(c, span)
		return next(c)
	}
}

func (t tracer) end(c echo.Context, span trace.Span) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	method, route, status := knownMethod(c.Request().Method), c.Path(), c.Response().Status
	if route != "" {
		span.SetName(method + " " + route)
	}
	span.SetAttributes(t.service,
		attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", status),
		attribute.String("provisioner.request_id", requestid.From(c.Request().Context())))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
