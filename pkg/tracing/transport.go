package tracing

import (
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// transport records calls to a peer.
type transport struct {
	next   http.RoundTripper
	tracer trace.Tracer
	peer   attribute.KeyValue
}

// Transport returns next with a span for each call, from the request to the head of the answer, and with the trace in its headers. The
// span is named by method and path: the paths of peers are of our choice. Of headers, queries and errors' texts nothing is recorded.
func (p *Provider) Transport(peer string, next http.RoundTripper) http.RoundTripper {
	return transport{next: next, tracer: p.Tracer(Scope), peer: attribute.String("peer.service", peer)}
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.Start(r.Context(), r.Method+" "+r.URL.Path, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	r = r.Clone(ctx)
	Inject(ctx, r.Header)

	resp, err := t.next.RoundTrip(r)
	if !span.IsRecording() {
		return resp, err
	}
	span.SetAttributes(t.peer, attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname()))
	if err != nil {
		span.SetAttributes(ErrorType(err))
		span.SetStatus(codes.Error, "")
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	}
	return resp, nil
}

// ErrorType names the type of err: its text may hold what is nobody's to read.
func ErrorType(err error) attribute.KeyValue {
	return attribute.String("error.type", fmt.Sprintf("%T", err))
}
