package middleware

import (
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/requestid"
)

// Origin has audit entries say where the request came from. It stands after RequestID.
func Origin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		setOrigin(c)
		return next(c)
	}
}

func setOrigin(c echo.Context) {
	ctx := c.Request().Context()
	from := audit.Origin{Network: ratelimit.Network(Client(c)), RequestID: requestid.From(ctx)}
	c.SetRequest(c.Request().WithContext(audit.WithOrigin(ctx, from)))
}
