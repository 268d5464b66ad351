package provision

import (
	"context"
	"time"

	"github.com/provisioner/provisioner/pkg/event"
)

// recordEvent makes the event that is written with its nonce. A JWT that is not valid, or cannot be checked now, leaves it
// unverified: an event is not lost for it.
func recordEvent(ctx context.Context, r *Receiver, in Inbound, req Request) *event.Event {
	return &event.Event{
		UserID: req.UserID, Action: req.Action, SentAt: req.SentAt, ReceivedAt: r.now().UTC(),
		Verified: r.sentByUser(ctx, req), Body: in.Body,
	}
}

// sentByUserTimeout is how long an event waits to be verified: it is to be kept in time, verified or not.
const sentByUserTimeout = time.Second

func (r *Receiver) sentByUser(ctx context.Context, req Request) bool {
	if !isJWT(req.JWT) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, sentByUserTimeout)
	defer cancel()
	user, err := r.users.Validate(ctx, req.JWT)
	if err != nil {
		r.log.DebugContext(ctx, "event stays unverified", "err", err)
		return false
	}
	return user.UserID == req.UserID
}

func acknowledge(_ context.Context, _ *Receiver, in Inbound, _ Request) (Outcome, error) {
	return Outcome{Received: in.Body}, nil
}
