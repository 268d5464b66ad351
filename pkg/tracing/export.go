package tracing

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// counting counts what becomes of spans.
type counting struct {
	sdk.SpanExporter
	sent, lost prometheus.Counter
}

func count(to sdk.SpanExporter, metrics prometheus.Registerer) sdk.SpanExporter {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "provisioner_trace_spans_total", Help: "Spans that the collector was to get, by whether it did.",
	}, []string{"result"})
	metrics.MustRegister(spans)
	return counting{to, spans.WithLabelValues("sent"), spans.WithLabelValues("lost")}
}

// ExportSpans implements [sdk.SpanExporter].
func (c counting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.lost.Add(float64(len(spans)))
		return err
	}
	c.sent.Add(float64(len(spans)))
	return nil
}
