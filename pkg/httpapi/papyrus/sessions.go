package papyrus

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
)

// sessions serves GET /v1/auth/sessions: 200 {"sessions":[…]}, the live ones, the one seen last first.
func (a api) sessions(c echo.Context, who account.Principal) error {
	live, err := a.Accounts.Sessions(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, sessionList{newSessions(live, who)})
}

// revokeSession serves DELETE /v1/auth/sessions/{id}: 204. Codes: NOT_FOUND for what is no live session of the user.
func (a api) revokeSession(c echo.Context, who account.Principal) error {
	if err := a.Accounts.RevokeSession(c.Request().Context(), who, c.Param("id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
