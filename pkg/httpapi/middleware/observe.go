package middleware

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// Observe counts, times and logs every request but streams, by its route: paths are the caller's and may hold anything.
func Observe(service string, log *slog.Logger, metrics prometheus.Registerer) echo.MiddlewareFunc {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:        "provisioner_http_request_duration_seconds",
		Help:        "Time to answer a request.",
		ConstLabels: prometheus.Labels{"service": service},
		Buckets:     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "status"})
	metrics.MustRegister(durations)
	o := observer{durations: durations, log: log.With("service", service)}

	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			if err := next(c); err != nil {
				c.Error(err) // writes the response, so that its status can be seen here
			}
			o.record(c, start)
			return nil
		}
	}
}

type observer struct {
	durations *prometheus.HistogramVec
	log       *slog.Logger
}

// record is apart from what surrounds the handler, so that streams that wait for hours do so on a small stack.
func (o *observer) record(c echo.Context, start time.Time) {
	took, status := time.Since(start), c.Response().Status
	method, route := knownMethod(c.Request().Method), c.Path()
	if route == StreamPath && status == http.StatusOK {
		return
	}
	o.durations.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
	o.log.LogAttrs(c.Request().Context(), slog.LevelInfo, "request",
		slog.String("method", method), slog.String("route", route), slog.Int("status", status), slog.Int64("took_us", took.Microseconds()))
}

// knownMethod bounds the label: a method is any token that the caller likes.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
