package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/text"
)

const actionProvisionAPIKey = "provision_api_key"

const (
	keyedIntentTTL   = 24 * time.Hour    // with a client's Idempotency-Key
	unkeyedIntentTTL = 120 * time.Second // without one: long enough for the retries of shipped clients
	maxNameLen       = 100
)

func recordNothing(context.Context, *Receiver, Inbound, Request) *event.Event { return nil }

// provisionAPIKey gives the user of the JWT an API key, the same one however often the intent is retried. The JWT comes
// first: a stored answer goes to nobody who does not prove to be its owner.
func provisionAPIKey(ctx context.Context, r *Receiver, in Inbound, req Request) (Outcome, error) {
	user, err := r.users.Validate(ctx, req.JWT)
	if err != nil {
		return Outcome{}, err
	}
	if req.ClaimsUser && req.UserID != user.UserID {
		return Outcome{}, ErrOtherUser
	}

	answer, err := r.intents.Do(ctx, intentOf(user, in, req), func(ctx context.Context, upstreamKey string) ([]byte, error) {
		return r.createKey(ctx, req, upstreamKey)
	})
	switch {
	case errors.Is(err, idempotency.ErrReused):
		return Outcome{}, ErrIdempotencyKeyReused
	case errors.Is(err, idempotency.ErrTimeout):
		return Outcome{}, ErrProvisionTimeout.With(err)
	case err != nil:
		return Outcome{}, err
	}
	key, err := openKey(answer)
	return Outcome{Key: key}, err
}

// intentOf identifies what the user wants to happen once (contract: provisioning, section 4).
func intentOf(user Identity, in Inbound, req Request) idempotency.Intent {
	intent := idempotency.Intent{
		Account:     user.UserID,
		Fingerprint: idempotency.Hash(req.Action, req.Name, req.Tier),
	}
	if len(in.IdempotencyKeys) == 1 {
		intent.Key = idempotency.Hash("keyed", user.UserID, in.IdempotencyKeys[0])
		intent.TTL = keyedIntentTTL
		return intent
	}
	jwt := idempotency.Hash(req.JWT)
	intent.Key = idempotency.Hash("unkeyed", user.UserID, req.Action, req.Name, req.Tier, string(jwt[:]))
	intent.TTL = unkeyedIntentTTL
	return intent
}

func (r *Receiver) createKey(ctx context.Context, req Request, upstreamKey string) ([]byte, error) {
	if !text.IsLine(req.Name, maxNameLen) {
		return nil, ErrInvalidName
	}
	if !r.tiers[req.Tier] {
		return nil, ErrUnknownTier
	}
	key, err := r.keys.CreateKey(ctx, KeyRequest{JWT: req.JWT, IdempotencyKey: upstreamKey, Name: req.Name, Tier: req.Tier})
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealedKey{Token: key.Token.Reveal(), ID: key.ID, Prefix: key.Prefix, Tier: key.Tier})
}

// sealedKey is the form in which a Key is kept, under seal, as the answer of its intent.
type sealedKey struct {
	Token  string `json:"token"`
	ID     string `json:"keyId"`
	Prefix string `json:"prefix"`
	Tier   string `json:"tier"`
}

func openKey(answer []byte) (*Key, error) {
	var k sealedKey
	if err := json.Unmarshal(answer, &k); err != nil {
		return nil, fmt.Errorf("read kept answer: %w", err)
	}
	return &Key{Token: secret.New(k.Token), ID: k.ID, Prefix: k.Prefix, Tier: k.Tier}, nil
}
