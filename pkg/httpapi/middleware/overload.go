package middleware

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// MaxInFlight is how many requests a service of short requests answers at once. Their bodies and connections to other services
// fit in memory; what waits longer than a client does is better refused.
const MaxInFlight = 4096

// Overload refuses a request with 503 SERVICE_UNAVAILABLE while limit others are being answered.
func Overload(limit int) echo.MiddlewareFunc {
	places := make(chan struct{}, limit)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				return next(c)
			default:
				return &apierror.Error{
					Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable,
					Message: "too many requests at once, try again", RetryAfter: time.Second,
				}
			}
		}
	}
}
