package supabase

import (
	"context"
	"errors"
	"net/http"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
)

// CreateKey implements [provision.KeyIssuer] by POST /functions/v1/api-keys-create.
func (c *Client) CreateKey(ctx context.Context, in provision.KeyRequest) (provision.Key, error) {
	var made struct {
		Token  string `json:"token"`
		KeyID  string `json:"keyId"`
		Prefix string `json:"prefix"`
		Tier   string `json:"tier"`
	}
	err := c.do(ctx, call{
		method: http.MethodPost, path: "/functions/v1/api-keys-create",
		bearer: in.JWT, idempotencyKey: in.IdempotencyKey, in: map[string]string{"name": in.Name, "tier": in.Tier},
	}, &made)
	if err != nil {
		return provision.Key{}, keyError(err)
	}
	if made.Token == "" {
		return provision.Key{}, provision.ErrProvisionFailed.With(errors.New("the function's answer has no token"))
	}
	return provision.Key{Token: secret.New(made.Token), ID: made.KeyID, Prefix: made.Prefix, Tier: made.Tier}, nil
}

// keyErrors are the refusals of the function that pass with their code (contract: provisioning, section 3).
var keyErrors = map[apierror.Code]*apierror.Error{
	provision.CodeUnknownTier:          provision.ErrUnknownTier,
	provision.CodeTierNotAllowed:       provision.ErrTierNotAllowed,
	provision.CodeQuotaExceeded:        provision.ErrQuotaExceeded,
	provision.CodeIdempotencyKeyReused: provision.ErrIdempotencyKeyReused,
	provision.CodeInvalidName:          provision.ErrInvalidName,
}

func keyError(err error) error {
	said, ok := errors.AsType[*refusal](err)
	switch {
	case !ok && errors.Is(err, context.DeadlineExceeded):
		return provision.ErrProvisionTimeout.With(err)
	case !ok:
		return provision.ErrProvisionFailed.With(err)
	case said.Status < 400 || said.Status > 499:
		return provision.ErrProvisionFailed.With(said)
	case said.Status == http.StatusUnauthorized:
		return provision.ErrInvalidAuth.With(said)
	}
	if known, ok := keyErrors[apierror.Code(said.Code)]; ok {
		return known.With(said)
	}
	out := provision.Refused(said.Status).With(said)
	out.RetryAfter = said.RetryAfter
	return out
}
