package supabaseapi

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/strictjson"
)

type keyRequest struct {
	Name strictjson.Text `json:"name"`
	Tier strictjson.Text `json:"tier"`
}

type createdKey struct {
	Token  string `json:"token"`
	KeyID  string `json:"keyId"`
	Prefix string `json:"prefix"`
	Tier   string `json:"tier"`
}

// createKey serves POST /functions/v1/api-keys-create: {name, tier} with the user's JWT to 200 {token, keyId, prefix, tier}, and
// the same answer for the same Idempotency-Key. Codes: INVALID_AUTH, IDEMPOTENCY_KEY_REUSED, INVALID_NAME, UNKNOWN_TIER,
// TIER_NOT_ALLOWED, QUOTA_EXCEEDED.
func (a api) createKey(c echo.Context) error {
	who, err := a.authenticate(c)
	if e, ok := errors.AsType[*apierror.Error](err); ok && e.Status < http.StatusInternalServerError {
		return provision.ErrInvalidAuth.With(err)
	}
	if err != nil {
		return err
	}
	in, err := a.decodeKeyRequest(c)
	if err != nil {
		return err
	}
	owner, err := a.Accounts.User(c.Request().Context(), who)
	if errors.Is(err, account.ErrNotFound) {
		return provision.ErrInvalidAuth.With(err)
	}
	if err != nil {
		return err
	}

	made, err := a.Keys.Issue(c.Request().Context(), apikey.Request{
		UserID: owner.ID, Plan: owner.Plan, Name: in.Name.Value, Tier: in.Tier.Value,
		IdempotencyKey: c.Request().Header.Get("Idempotency-Key"),
	})
	if err != nil {
		return keyError(err)
	}
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusOK, createdKey{made.Token.Reveal(), made.ID, made.Prefix, made.Tier})
}

func (a api) decodeKeyRequest(c echo.Context) (keyRequest, error) {
	var in keyRequest
	body, err := httpapi.ReadBody(c, a.BodyLimit)
	if err != nil {
		return in, err
	}
	if err := strictjson.UnmarshalObject(body, &in); err != nil {
		return in, provision.ErrNotObject.With(err)
	}
	return in, provision.CheckIdempotencyKey(c.Request().Header.Values("Idempotency-Key"))
}

// keyErrors gives the contract's error for each refusal of package apikey.
var keyErrors = map[error]*apierror.Error{
	apikey.ErrNotFound:       provision.ErrInvalidAuth, // the account was deleted meanwhile
	apikey.ErrReused:         provision.ErrIdempotencyKeyReused,
	apikey.ErrInvalidName:    provision.ErrInvalidName,
	apikey.ErrUnknownTier:    provision.ErrUnknownTier,
	apikey.ErrTierNotAllowed: provision.ErrTierNotAllowed,
	apikey.ErrQuotaExceeded:  provision.ErrQuotaExceeded,
}

func keyError(err error) error {
	for refusal, e := range keyErrors {
		if errors.Is(err, refusal) {
			return e.With(err)
		}
	}
	return err
}
