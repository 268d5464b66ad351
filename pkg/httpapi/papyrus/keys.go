package papyrus

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// What a refusal says of the fields of keys.
const (
	notGrace  = "must be 0 to 86400"
	notCursor = "must be the next_cursor of a page of these keys"
	notIntent = "must be one header of 1 to 255 printable ASCII characters"
)

const (
	graceSeconds   = "grace_seconds"
	idempotencyKey = "Idempotency-Key" // the header that makes the tries of one intent get one answer
)

func (a api) mountKeys(e *echo.Echo) {
	keys := a.Prefix + "/keys"
	httpapi.Read(e, keys, a.signedIn(a.keys))
	e.DELETE(keys+"/:key_id", a.signedIn(a.revokeKey))
	e.POST(keys+"/:key_id/rotate", a.signedIn(a.rotateKey))
	for _, path := range []string{verifyPath(a.Prefix), verifyPath(a.Prefix) + "/*"} {
		e.Any(path, a.verifyKey)
		e.RouteNotFound(path, a.verifyKey) // for the methods that echo does not know
	}
}

type keyObject struct {
	KeyID      string     `json:"key_id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	Tier       string     `json:"tier"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

type keyPage struct {
	Keys       []keyObject `json:"keys"`
	NextCursor *string     `json:"next_cursor"` // null on the last page
}

func newKeyPage(keys []apikey.Key, next string) keyPage {
	page := keyPage{Keys: make([]keyObject, len(keys))}
	for i, k := range keys {
		page.Keys[i] = keyObject{
			KeyID: k.ID, Name: k.Name, Prefix: k.Prefix, Tier: k.Tier, CreatedAt: k.CreatedAt,
			LastUsedAt: timeOrNull(k.LastUsedAt), ExpiresAt: timeOrNull(k.ExpiresAt), RevokedAt: timeOrNull(k.RevokedAt),
		}
	}
	if next != "" {
		page.NextCursor = &next
	}
	return page
}

// keys serves GET /v1/keys?cursor=: 200 {"keys":[…],"next_cursor"}, the newest first, also those that work no more. Codes:
// VALIDATION_ERROR for a cursor of no page.
func (a api) keys(c echo.Context, who account.Principal) error {
	keys, next, err := a.Keys.List(c.Request().Context(), who.UserID, c.QueryParam("cursor"))
	if errors.Is(err, apikey.ErrNotFound) {
		return invalid(wrongFields, badField{"cursor", notCursor})
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, newKeyPage(keys, next))
}

// revokeKey serves DELETE /v1/keys/{key_id}: 204, also for a key that is revoked already. Codes: NOT_FOUND for what is no key
// of the user.
func (a api) revokeKey(c echo.Context, who account.Principal) error {
	if err := a.Keys.Revoke(c.Request().Context(), who.UserID, c.Param("key_id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type rotatedKey struct {
	Token  string `json:"token"`
	KeyID  string `json:"key_id"`
	Prefix string `json:"prefix"`
	Tier   string `json:"tier"`
}

// rotateKey serves POST /v1/keys/{key_id}/rotate: {grace_seconds?}, for which the old key still works, by default 0, to 200
// {token, key_id, prefix, tier}, and the same answer for the same Idempotency-Key. Codes: VALIDATION_ERROR, NOT_FOUND for what
// is no key of the user, CONFLICT for one that works no more or was rotated before, or an Idempotency-Key of another request, RATE_LIMITED.
func (a api) rotateKey(c echo.Context, who account.Principal) error {
	f, err := a.optionalForm(c)
	if err != nil {
		return err
	}
	grace := f.grace()
	if provision.CheckIdempotencyKey(c.Request().Header.Values(idempotencyKey)) != nil {
		f.refuse(idempotencyKey, notIntent)
	}
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, ratelimit.RotateKey); err != nil {
		return err
	}
	made, err := a.Keys.Rotate(c.Request().Context(), apikey.Rotation{
		UserID: who.UserID, KeyID: c.Param("key_id"), Grace: grace, IdempotencyKey: c.Request().Header.Get(idempotencyKey),
	})
	if errors.Is(err, apikey.ErrInvalidGrace) {
		return invalid(wrongFields, badField{graceSeconds, notGrace})
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, rotatedKey{made.Token.Reveal(), made.ID, made.Prefix, made.Tier})
}

// grace returns the time of grace_seconds, 0 where there is none or null.
func (f *form) grace() time.Duration {
	if !f.has(graceSeconds) || f.isNull(graceSeconds) {
		return 0
	}
	seconds, err := strconv.ParseInt(string(f.fields[graceSeconds]), 10, 32) // more would not fit into a Duration
	if err != nil {
		f.refuse(graceSeconds, notGrace)
	}
	return time.Duration(seconds) * time.Second
}
