package middleware

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Trailers lets handlers see trailers that the request did not declare. The server adds them, once the body is read, to the
// request that it made, while handlers have copies with other contexts: a map that all share shows them.
func Trailers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Trailer == nil {
			c.Request().Trailer = make(http.Header)
		}
		return next(c)
	}
}
