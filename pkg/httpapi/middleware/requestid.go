// Package middleware holds the concerns that cut across the services' endpoints.
package middleware

import (
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/requestid"
)

// RequestID gives the request an id, the caller's if it is well-formed, and sends it back.
func RequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		setRequestID(c)
		return next(c)
	}
}

func setRequestID(c echo.Context) {
	id := requestid.Accept(c.Request().Header.Get(requestid.Header))
	c.SetRequest(c.Request().WithContext(requestid.With(c.Request().Context(), id)))
	c.Response().Header().Set(requestid.Header, id)
}
