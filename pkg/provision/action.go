package provision

import (
	"context"

	"github.com/provisioner/provisioner/pkg/event"
)

// action is one thing that a request can ask for.
type action struct {
	// parse reads the members of the action, as sender and receiver judge them alike.
	parse func(members) (Request, error)
	// record says what is written in one commit with the nonce; nil for nothing.
	record func(ctx context.Context, r *Receiver, in Inbound, req Request) *event.Event
	// perform does the rest, after the commit.
	perform func(ctx context.Context, r *Receiver, in Inbound, req Request) (Outcome, error)
}

// actions is the registry of the reserved actions. Every other action is an event.
var actions = map[string]action{
	actionProvisionAPIKey: {parse: parseProvision, record: recordNothing, perform: provisionAPIKey},
}

var eventAction = action{parse: parseEvent, record: recordEvent, perform: acknowledge}
