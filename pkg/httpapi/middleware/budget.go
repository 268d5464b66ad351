package middleware

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
)

// Budget ends the request's context after d, so that the service answers before its caller gives up.
func Budget(d time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, cancel := context.WithTimeout(c.Request().Context(), d)
			defer cancel()

			whole := c.Request()
			defer c.SetRequest(whole) // whoever looks at its context afterwards means the client's
			c.SetRequest(whole.WithContext(ctx))
			return next(c)
		}
	}
}
