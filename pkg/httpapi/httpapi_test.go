package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/provision"
)

func TestErrors(t *testing.T) {
	const internal = `{"error":"internal error","code":"INTERNAL_ERROR"}`
	refusal := apierror.New(http.StatusTeapot, "TEAPOT", `a "teapot" <b>`).With(errors.New("the cause"))
	var none map[string]int
	for _, tt := range []struct {
		name   string
		handle echo.HandlerFunc
		status int
		want   string
		logged string // at warning level or above; "" for nothing
	}{
		{"a panic with text", func(echo.Context) error { panic("the cause") }, 500, internal, "the cause"},
		{"a panic with an error", func(echo.Context) error { panic(errors.New("the cause")) }, 500, internal, "the cause"},
		{"a nil map", func(echo.Context) error { none["x"]++; return nil }, 500, internal, "nil map"},
		{"an unknown error", func(echo.Context) error { return errors.New("the cause") }, 500, internal, "the cause"},
		{"an error of the router that is not told", func(echo.Context) error { return echo.NewHTTPError(502, "the cause") }, 500, internal, "the cause"},
		{"a refusal", func(echo.Context) error { return fmt.Errorf("step: %w", refusal) }, 418, `{"error":"a \"teapot\" \u003cb\u003e","code":"TEAPOT"}`, ""},
		{"an outage", func(echo.Context) error { return apierror.Unavailable(errors.New("the cause")) }, 503, `{"error":"the store is unavailable, try again","code":"STORE_UNAVAILABLE"}`, "the cause"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			h := newEcho(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), func(e *echo.Echo) { e.POST("/", tt.handle) })
			w := post(t, h, "/", "", "Origin", origin)
			check(t, w, tt.status, tt.want)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("Access-Control-Allow-Origin = %q", got)
			}
			if !strings.Contains(log.String(), tt.logged) || (log.Len() > 0) != (tt.logged != "") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Millisecond: "1", time.Second: "1", 1100 * time.Millisecond: "2", 0: ""} {
		h := newEcho(nil, func(e *echo.Echo) {
			e.POST("/", func(echo.Context) error {
				return &apierror.Error{Status: 429, Code: apierror.RateLimited, RetryAfter: d}
			})
		})
		if got := post(t, h, "/", "").Header().Get("Retry-After"); got != want {
			t.Errorf("%v: Retry-After = %q, want %q", d, got, want)
		}
	}
}

func TestAnAbortedHandlerEndsTheConnection(t *testing.T) {
	h := newEcho(nil, func(e *echo.Echo) { e.POST("/", func(echo.Context) error { panic(http.ErrAbortHandler) }) })
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the value itself is what net/http looks for
			t.Errorf("recovered %v", v)
		}
	}()
	post(t, h, "/", "")
}

func TestAnAnswerThatHasBegunStays(t *testing.T) {
	h := newEcho(nil, func(e *echo.Echo) {
		e.POST("/", func(c echo.Context) error {
			return errors.Join(httpapi.WriteJSON(c, 200, map[string]bool{"ok": true}), errors.New("late"))
		})
	})
	check(t, post(t, h, "/", ""), 200, `{"ok":true}`)
}

func TestReadBody(t *testing.T) {
	const limit = 8
	for _, tt := range []struct {
		name     string
		body     string
		declared int64 // -1 for unknown
		want     string
		status   int
	}{
		{"nothing", "", 0, "", 200},
		{"of known length", "12345678", 8, "12345678", 200},
		{"of unknown length", "12345678", -1, "12345678", 200},
		{"one too many, declared", "123456789", 9, "", 413},
		{"one too many, unknown", "123456789", -1, "", 413},
		{"shorter than declared", "1234", 8, "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newEcho(nil, func(e *echo.Echo) {
				e.POST("/", func(c echo.Context) error {
					body, err := httpapi.ReadBody(c, limit)
					if err != nil {
						return err
					}
					return httpapi.WriteRaw(c, 200, body)
				})
			})
			req := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(strings.NewReader(tt.body)))
			req.ContentLength = tt.declared
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != tt.status || tt.status == 200 && w.Body.String() != tt.want {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer a.b.c": "a.b.c", "bearer a.b.c": "a.b.c", "Bearer  a.b.c ": "a.b.c", "Basic a.b.c": "", "Bearer": "", "a.b.c": "", "": "",
	} {
		c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder())
		c.Request().Header.Set("Authorization", header)
		if got := httpapi.Bearer(c); got != want {
			t.Errorf("Bearer(%q) = %q, want %q", header, got, want)
		}
		c.Request().Header.Add("Authorization", "Bearer second")
		if got := httpapi.Bearer(c); got != "" {
			t.Errorf("of two headers it takes %q", got)
		}
	}
}

// TestForwarded has what goes along with the calls that a request causes come from the request alone, and nothing else of it.
func TestForwarded(t *testing.T) {
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	got := make(http.Header)
	h := newEcho(nil, func(e *echo.Echo) {
		e.POST("/", func(c echo.Context) error {
			provision.Forward(provision.WithClient(c.Request().Context(), c.RealIP()), got)
			return nil
		})
	})
	post(t, h, "/", "", "X-Request-Id", "id-1", "Traceparent", traceparent, "Tracestate", "x=y", "Baggage", "no", "X-Forwarded-For", "198.51.100.1")
	want := http.Header{"X-Request-Id": {"id-1"}, "Traceparent": {traceparent}, "Tracestate": {"x=y"}, "X-Forwarded-For": {"192.0.2.1"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v goes along, want %v", got, want)
	}
}

func TestACallerThatHangsUpIsNoFaultOfOurs(t *testing.T) {
	h := newEcho(nil, func(e *echo.Echo) { e.POST("/", func(c echo.Context) error { return c.Request().Context().Err() }) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody))
	check(t, w, 499, `{"error":"the client closed the request","code":"CLIENT_CLOSED_REQUEST"}`)
}
