package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Shared begins the span of work that is done once for several requests, of which each has a context: a part of the first of them that is
// recorded, linked with the others that are. The context returned has what that request knows, but outlives it; whoever does the work calls end with its error. Where no
// request is recorded nothing is, and end does nothing.
func Shared[R any](name string, requests []R, of func(R) context.Context) (ctx context.Context, end func(error)) {
	var first context.Context
	var others []trace.Span
	for _, request := range requests {
		switch span := trace.SpanFromContext(of(request)); {
		case !span.IsRecording():
		case first == nil:
			first = context.WithoutCancel(of(request))
		default:
			others = append(others, span)
		}
	}
	if first == nil {
		return context.Background(), func(error) {}
	}

	tracer := trace.SpanFromContext(first).TracerProvider().Tracer(Scope)
	ctx, span := tracer.Start(first, name, trace.WithAttributes(attribute.Int("provisioner.shared_by", len(requests))))
	for _, other := range others {
		other.AddLink(trace.Link{SpanContext: span.SpanContext()})
		span.AddLink(trace.Link{SpanContext: other.SpanContext()})
	}
	return ctx, func(err error) {
		if err != nil {
			span.SetAttributes(ErrorType(err))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
