package papyrus

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

type verified struct {
	Valid  bool   `json:"valid"`
	KeyID  string `json:"key_id"`
	UserID string `json:"user_id"`
	Name   string `json:"name"`
	Tier   string `json:"tier"`
}

// refused is the body of a key that is no good: here the contract departs from the error shape of /v1.
type refused struct {
	Valid bool   `json:"valid"`
	Code  string `json:"code"`
}

// verifyKey serves any method on /v1/keys/verify and below, for nginx auth_request, Traefik forwardAuth and Envoy ext_authz:
// Authorization: Bearer <API key> to 200 {"valid":true,"key_id","user_id","name","tier"} with X-Key-Id, X-User-Id,
// X-Key-Tier and the RateLimit headers. Codes: MALFORMED, NOT_FOUND, REVOKED, EXPIRED (401), RATE_LIMITED (429).
func (a api) verifyKey(c echo.Context) error {
	httpapi.NoStore(c)
	key, err := a.Keys.Verify(c.Request().Context(), httpapi.Bearer(c))
	if code := refusalCode(err); code != "" {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
		return httpapi.WriteJSON(c, http.StatusUnauthorized, refused{Code: code})
	}
	if err != nil {
		return err
	}

	limit := ratelimit.Limit{Count: max(1, a.Keys.PerMinute(key.Tier)), Period: time.Minute}
	d, err := a.Limiter.Take(c.Request().Context(), "key:"+key.ID, limit, 1)
	if err != nil {
		return err
	}
	middleware.SetRateLimit(c, d)
	if !d.Allowed {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(d.RetryAfter, time.Second).Seconds()))))
		return httpapi.WriteJSON(c, http.StatusTooManyRequests, refused{Code: "RATE_LIMITED"})
	}
	h := c.Response().Header()
	h.Set("X-Key-Id", key.ID)
	h.Set("X-User-Id", key.UserID)
	h.Set("X-Key-Tier", key.Tier)
	return httpapi.WriteJSON(c, http.StatusOK, verified{true, key.ID, key.UserID, key.Name, key.Tier})
}

func refusalCode(err error) string {
	switch {
	case errors.Is(err, apikey.ErrMalformed):
		return "MALFORMED"
	case errors.Is(err, apikey.ErrNotFound):
		return "NOT_FOUND"
	case errors.Is(err, apikey.ErrRevoked):
		return "REVOKED"
	case errors.Is(err, apikey.ErrExpired):
		return "EXPIRED"
	}
	return ""
}
