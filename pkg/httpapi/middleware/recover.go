package middleware

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/reporting"
)

// Recover turns a panic into an error, which the client sees as 500 INTERNAL_ERROR and the log with its stack.
func Recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch v := recover(); {
			case v == nil:
			case isAbort(v):
				panic(v) //nolint:forbidigo // net/http ends the connection quietly for it
			default:
				err = reporting.NewPanic(v)
			}
		}()
		return next(c)
	}
}

func isAbort(v any) bool {
	err, ok := v.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}
