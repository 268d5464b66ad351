package replay

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/provisioner/provisioner/pkg/tracing"
)

// traceCommit begins the span of a commit: a part of the first request that is recorded, linked with the others that are. The context has
// what that request knows, but outlives it. Where no request is recorded nothing is, and end does nothing.
func traceCommit(batch []*admitting) (ctx context.Context, end func(error)) {
	var first context.Context
	var others []trace.Span
	for _, a := range batch {
		switch span := trace.SpanFromContext(a.ctx); {
		case !span.IsRecording():
		case first == nil:
			first = context.WithoutCancel(a.ctx)
		default:
			others = append(others, span)
		}
	}
	if first == nil {
		return context.Background(), func(error) {}
	}

	tracer := trace.SpanFromContext(first).TracerProvider().Tracer(tracing.Scope)
	ctx, span := tracer.Start(first, "commit admissions", trace.WithAttributes(attribute.Int("provisioner.batch.size", len(batch))))
	for _, other := range others {
		other.AddLink(trace.Link{SpanContext: span.SpanContext()})
		span.AddLink(trace.Link{SpanContext: other.SpanContext()})
	}
	return ctx, func(err error) {
		if err != nil {
			span.SetAttributes(tracing.ErrorType(err))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
