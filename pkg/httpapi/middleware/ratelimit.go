package middleware

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// Refuse returns 429 RATE_LIMITED, with the RateLimit headers set, unless d allows the request.
func Refuse(c echo.Context, d ratelimit.Decision) error {
	if d.Allowed {
		return nil
	}
	SetRateLimit(c, d)
	return &apierror.Error{
		Status: http.StatusTooManyRequests, Code: apierror.RateLimited, Message: "too many requests",
		RetryAfter: max(d.RetryAfter, time.Second),
	}
}

// SetRateLimit tells the caller where it stands: RateLimit-Limit, -Remaining and -Reset (seconds).
func SetRateLimit(c echo.Context, d ratelimit.Decision) {
	h := c.Response().Header()
	h.Set("RateLimit-Limit", strconv.Itoa(d.Limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(d.Remaining))
	h.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil(d.Reset.Seconds()))))
}
