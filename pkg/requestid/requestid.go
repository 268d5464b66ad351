// Package requestid names requests, so that what each service logs about one can be found together (contract: provisioning).
package requestid

import (
	"context"
	"regexp"

	"github.com/google/uuid"
)

// Header carries the id, in requests and in every response.
const Header = "X-Request-Id"

var form = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// Accept returns the caller's id if it is 1 to 128 characters of [A-Za-z0-9._-], else a new one.
func Accept(theirs string) string {
	if form.MatchString(theirs) {
		return theirs
	}
	return uuid.NewString()
}

type key struct{}

// With returns a context that carries id.
func With(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }

// From returns the id of ctx, "" for none.
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
