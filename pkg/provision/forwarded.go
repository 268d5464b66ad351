package provision

import (
	"context"
	"net/http"

	"github.com/provisioner/provisioner/pkg/requestid"
	"github.com/provisioner/provisioner/pkg/tracing"
)

type clientKey struct{}

// WithClient returns a context whose calls to other services say that they are made for the client at address.
func WithClient(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, clientKey{}, address)
}

// Forward adds to the headers of a call to another service what ctx knows of the request that causes it: its id, its trace, and the
// address of its client.
func Forward(ctx context.Context, h http.Header) {
	if id := requestid.From(ctx); id != "" {
		h[requestid.Header] = []string{id}
	}
	if address, ok := ctx.Value(clientKey{}).(string); ok {
		h["X-Forwarded-For"] = []string{address}
	}
	tracing.Inject(ctx, h)
}
