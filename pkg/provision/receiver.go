package provision

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/secret"
)

// Identity is a user as a valid JWT names it.
type Identity struct {
	UserID string // the JWT's subject
}

// Validator tells whose a user's JWT is.
type Validator interface {
	// Validate returns the user of a valid JWT. It returns ErrInvalidAuth for one that is bad, expired or revoked,
	// ErrIdentityUnavailable or ErrIdentityTimeout when that cannot be told.
	Validate(ctx context.Context, jwt string) (Identity, error)
}

// Key is a new API key. Token is shown to the user this once.
type Key struct {
	Token  secret.Text
	ID     string
	Prefix string // the first 8 characters of the token, safe for logs
	Tier   string
}

// KeyRequest asks an issuer for a key.
type KeyRequest struct {
	JWT            string // the user's
	IdempotencyKey string // equal for all tries of one intent
	Name, Tier     string
}

// KeyIssuer makes API keys.
type KeyIssuer interface {
	// CreateKey makes a key for the user of the JWT. It returns an *apierror.Error: a 4xx when the issuer refused and
	// made none; ErrProvisionFailed or ErrProvisionTimeout when that is open.
	CreateKey(ctx context.Context, in KeyRequest) (Key, error)
}

// Inbound is a request whose signature was verified.
type Inbound struct {
	Nonce        [sha256.Size]byte // the [timekey] of its signature
	NonceExpires time.Time
	Body         []byte
	// IdempotencyKeys are the values of the Idempotency-Key header: none, or the client's one.
	IdempotencyKeys []string
}

// Outcome is what a request came to: a key, or a recorded event.
type Outcome struct {
	Key      *Key   // of provision_api_key
	Received []byte // of an event: the body's own bytes
}

// Receiver carries out verified requests.
type Receiver struct {
	guard   *replay.Guard
	users   Validator
	keys    KeyIssuer
	intents *idempotency.Doer
	tiers   map[string]bool
	now     func() time.Time
	log     *slog.Logger
}

// ReceiverConfig is what a Receiver is made of; every field is needed.
type ReceiverConfig struct {
	Guard   *replay.Guard
	Users   Validator
	Keys    KeyIssuer
	Intents *idempotency.Doer
	Tiers   []string // names of the tiers that may be asked for
	Now     func() time.Time
	Log     *slog.Logger
}

// NewReceiver returns a Receiver.
func NewReceiver(c ReceiverConfig) *Receiver {
	tiers := make(map[string]bool, len(c.Tiers))
	for _, name := range c.Tiers {
		tiers[name] = true
	}
	return &Receiver{guard: c.Guard, users: c.Users, keys: c.Keys, intents: c.Intents, tiers: tiers, now: c.Now, log: c.Log}
}

// Receive carries out a request, once (contract: provisioning, section 1 steps 4 and 5, and section 3):
//
//  1. read the request, and keep what is wrong with it for step 3;
//  2. admit the nonce, in one commit with what the request records: ErrReplayDetected if it was seen before;
//  3. refuse a request that is wrong;
//  4. perform the action.
//
// All its errors are for the client.
func (r *Receiver) Receive(ctx context.Context, in Inbound) (Outcome, error) {
	req, wrong := ParseRequest(in.Body)
	if wrong == nil {
		wrong = CheckIdempotencyKey(in.IdempotencyKeys)
	}
	admission := replay.Admission{Nonce: in.Nonce, Expires: in.NonceExpires}
	if wrong == nil {
		admission.Event = req.action.record(ctx, r, in, req)
	}

	switch err := r.guard.Admit(ctx, admission); {
	case errors.Is(err, replay.ErrReplayed):
		return Outcome{}, ErrReplayDetected
	case err != nil:
		return Outcome{}, err
	case wrong != nil:
		return Outcome{}, wrong
	}
	return req.action.perform(ctx, r, in, req)
}
