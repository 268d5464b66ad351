// Package tracing records what a request causes as OpenTelemetry spans, and sends them to a collector by OTLP over HTTP. Without a
// collector nothing is recorded, and the trace that a caller names is only handed on. Packages that add spans take the provider of the
// span in their context: there is no global one.
package tracing

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/secret"
)

// Scope names the instrumentation in spans.
const Scope = "github.com/provisioner/provisioner"

// shutdownTimeout is how long the last spans have to get to the collector.
const shutdownTimeout = 3 * time.Second

// Config says where spans go, and which.
type Config struct {
	Endpoint string                 // the collector's base URL: spans go to /v1/traces below it
	Headers  map[string]secret.Text // of every export
	Ratio    float64                // of the traces that begin here, from 0 to 1
	Service  string                 // service.name
	Version  string                 // service.version
}

// Provider makes tracers, and sends what they record.
type Provider struct{ *sdk.TracerProvider }

// Open returns a Provider, which counts into metrics. It does not connect: a collector that is down costs spans, nothing else.
func Open(ctx context.Context, c Config, metrics prometheus.Registerer) (*Provider, error) {
	headers := make(map[string]string, len(c.Headers))
	for name, value := range c.Headers {
		headers[name] = value.Reveal()
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.Endpoint+"/v1/traces"), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	return newProvider(c, sdk.NewBatchSpanProcessor(count(exporter, metrics))), nil
}

func newProvider(c Config, to sdk.SpanProcessor) *Provider {
	return &Provider{sdk.NewTracerProvider(
		sdk.WithSpanProcessor(to),
		sdk.WithSampler(newSampler(c.Ratio)),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", c.Service),
			attribute.String("service.version", c.Version),
			attribute.String("service.instance.id", uuid.NewString()),
		)),
	)}
}

// Close sends what is left, for a few seconds at most.
func (p *Provider) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// propagator is W3C Trace Context alone. Baggage is the words of strangers, and goes no further.
var propagator propagation.TraceContext

// Traceparent is the header that names a trace, in canonical form.
const Traceparent = "Traceparent"

// Extract returns ctx in the trace that the headers name; ctx itself where they have not exactly one valid traceparent.
func Extract(ctx context.Context, h http.Header) context.Context {
	if len(h[Traceparent]) != 1 {
		return ctx
	}
	return propagator.Extract(ctx, propagation.HeaderCarrier(h))
}

// Inject names the trace of ctx in the headers, if it is in one.
func Inject(ctx context.Context, h http.Header) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		propagator.Inject(ctx, propagation.HeaderCarrier(h))
	}
}
