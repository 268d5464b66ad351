package middleware

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/bound"
)

// MaxInFlight is how many requests a service works on at once. Each holds at most a body and a few buffers.
const MaxInFlight = 4096

// healthPath is answered however many requests are under way.
const healthPath = "/health"

// StreamPath is where devices open streams. These last as long as devices like, so nobody waits for their end; package syncstream
// bounds their number.
const StreamPath = "/sync/stream"

// Shed refuses requests beyond MaxInFlight under way at once with 503 SERVICE_UNAVAILABLE: a late answer helps nobody, and what
// waits takes memory.
func Shed(service string, metrics prometheus.Registerer) echo.MiddlewareFunc {
	var inFlight, shed atomic.Int64
	bound.Bound{Service: service, What: "requests", Limit: MaxInFlight, Used: inFlight.Load, Shed: shed.Load}.Register(metrics)
	metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "provisioner_http_requests_in_flight", Help: "Requests under way.", ConstLabels: prometheus.Labels{"service": service},
	}, func() float64 { return float64(inFlight.Load()) }))

	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if c.Path() == StreamPath {
				return next(c)
			}
			defer inFlight.Add(-1)
			if inFlight.Add(1) > MaxInFlight && c.Path() != healthPath {
				shed.Add(1)
				return &apierror.Error{
					Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable, Message: "too many requests at once, try again",
					RetryAfter: time.Second,
				}
			}
			return next(c)
		}
	}
}
