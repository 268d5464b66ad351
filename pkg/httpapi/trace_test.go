package httpapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/binding"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/tracing"
)

const clientTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// newTraced returns an API whose spans go to the recorder.
func newTraced(o httpapi.Options) (*echo.Echo, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	o.Service, o.Log, o.Metrics = "test", slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	o.Origins, o.Dialect, o.Traces = middleware.NewOrigins(nil), httpapi.FlatDialect, sdk.NewTracerProvider(sdk.WithSpanProcessor(r))
	e := httpapi.New(o)
	e.GET("/users/:id", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	e.POST("/broken", func(echo.Context) error { return errors.New("broken for reader@example.com") })
	e.POST("/panic", func(echo.Context) error { panic("reader@example.com") })
	e.POST(middleware.StreamPath, func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	return e, r
}

func TestSpansOfRequests(t *testing.T) {
	for _, tt := range []struct {
		name, method, path string
		want               string // the span's name; "" for none
		failed             bool
	}{
		{"the route, not the path", "GET", "/users/reader@example.com?q=secret", "GET /users/:id", false},
		{"no route", "GET", "/reader@example.com", "GET", false},
		{"a method of the caller's own", "READER", "/x", "other", false},
		{"an internal error", "POST", "/broken", "POST /broken", true},
		{"a panic", "POST", "/panic", "POST /panic", true},
		{"a stream", "POST", "/sync/stream", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, r := newTraced(httpapi.Options{})
			req := httptest.NewRequest(tt.method, tt.path, http.NoBody)
			req.Header.Set("Traceparent", clientTraceparent)
			e.ServeHTTP(httptest.NewRecorder(), req)
			if spans := r.Ended(); tt.want == "" || len(spans) != 1 {
				if len(spans) != 0 || tt.want != "" {
					t.Fatalf("%d spans", len(spans))
				}
				return
			}
			span := r.Ended()[0]
			if failed := span.Status().Code == 1; span.Name() != tt.want || failed != tt.failed || span.Status().Description != "" {
				t.Errorf("%q %+v, want %q, failed: %t", span.Name(), span.Status(), tt.want, tt.failed)
			}
			if span.Parent().SpanID().String() != "b7ad6b7169203331" || len(span.Events()) > 0 {
				t.Errorf("parent %v, events %v", span.Parent(), span.Events())
			}
			for _, a := range span.Attributes() {
				if strings.Contains(a.Value.String(), "reader@") || strings.Contains(a.Value.String(), "secret") {
					t.Errorf("%s = %s", a.Key, a.Value.String())
				}
			}
		})
	}
}

// TestBoundCallsStayInTheirTrace holds that within a process the trace goes on by the context, whatever the header says.
func TestBoundCallsStayInTheirTrace(t *testing.T) {
	e, r := newTraced(httpapi.Options{})
	ctx := tracing.Extract(t.Context(), http.Header{"Traceparent": {clientTraceparent}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://test.internal/users/1", http.NoBody)
	must(t, err)
	req.Header.Set("Traceparent", strings.Replace(clientTraceparent, "0af7", "ffff", 1))
	resp, err := binding.NewTransport(e).RoundTrip(req)
	must(t, err)
	must(t, resp.Body.Close())
	if got := r.Ended()[0].SpanContext().TraceID().String(); got != clientTraceparent[3:35] {
		t.Errorf("the trace is %s", got)
	}
}

// TestFollowedCallers holds who is asked whether a request is recorded.
func TestFollowedCallers(t *testing.T) {
	for addr, want := range map[string]bool{"10.1.2.3:4": true, "192.0.2.1:4": false} {
		trusting := make(chan bool, 1)
		o := httpapi.Options{
			Service: "test", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Origins: middleware.NewOrigins(nil),
			Dialect: httpapi.FlatDialect, Followed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Traces: sdk.NewTracerProvider(sdk.WithSampler(asking(func(ctx context.Context) { trusting <- tracing.Trusted(ctx) }))),
		}
		req := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		req.RemoteAddr = addr
		httpapi.New(o).ServeHTTP(httptest.NewRecorder(), req)
		if got := <-trusting; got != want {
			t.Errorf("%s is followed: %t", addr, got)
		}
	}
}

// asking is a sampler that records nothing.
type asking func(context.Context)

func (a asking) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	a(p.ParentContext)
	return sdk.SamplingResult{Decision: sdk.Drop}
}

func (asking) Description() string { return "asking" }

// TestInternalErrorsAreReported holds that what becomes INTERNAL_ERROR is reported, with its route, and nothing else is.
func TestInternalErrorsAreReported(t *testing.T) {
	var routes []string
	e, _ := newTraced(httpapi.Options{Report: func(_ context.Context, route string, err error) {
		if apierror.From(err).Code != apierror.InternalError {
			t.Errorf("%s: %v", route, err)
		}
		routes = append(routes, route)
	}})
	for _, path := range []string{"/broken", "/panic", "/nowhere", "/users/1"} {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, io.NopCloser(http.NoBody)))
	}
	if got := strings.Join(routes, " "); got != "/broken /panic" {
		t.Errorf("reported: %s", got)
	}
}
