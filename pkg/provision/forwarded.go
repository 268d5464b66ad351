package provision

import (
	"context"
	"net/http"
)

type forwardedKey struct{}

// WithForwarded returns a context whose calls to other services carry the headers: the request id, the trace context and the
// address of the client on whose behalf they are made.
func WithForwarded(ctx context.Context, headers http.Header) context.Context {
	return context.WithValue(ctx, forwardedKey{}, headers)
}

// Forwarded returns the headers of [WithForwarded], which are not to be changed; nil for none.
func Forwarded(ctx context.Context) http.Header {
	headers, _ := ctx.Value(forwardedKey{}).(http.Header)
	return headers
}
