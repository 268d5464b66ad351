package papyrus

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/token"
)

// jwksMaxAge is what a cache on the way may add to the five minutes for which a PowerSync Service keeps the keys. A new one signs
// a minute after these, and a replica may know it only after a quarter of that.
const jwksMaxAge = 30 * time.Second

// powerSyncToken serves POST /v1/auth/powersync-token: nothing to 200 {token, expires_in}. Codes: VALIDATION_ERROR, with 400 where
// there are no such tokens.
func (a api) powerSyncToken(c echo.Context, who account.Principal) error {
	if _, err := a.optionalForm(c); err != nil {
		return err
	}
	if a.PowerSync == nil {
		return errNoPowerSync
	}
	issued, err := a.PowerSync.Issue(c.Request().Context(), who.UserID)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, powerSyncToken{issued.Reveal(), int(a.PowerSync.TTL().Seconds())})
}

// jwks serves GET /v1/auth/jwks: the keys that PowerSync tokens verify under, or 304 to whoever has them.
func (a api) jwks(c echo.Context) error {
	set, err := token.JWKS(c.Request().Context(), a.PowerSyncKeys, token.PowerSync)
	if err != nil {
		return err
	}
	return httpapi.WriteCacheable(c, set, jwksMaxAge)
}
