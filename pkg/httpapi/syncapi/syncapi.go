// Package syncapi serves PowerSync's sync protocol to devices (contract: papyrus, section 7). What they upload goes to package papyrus.
package syncapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/syncstream"
	"github.com/provisioner/provisioner/pkg/token"
)

// Config is what the API is made of. Every field is needed; the zero Config is that of no API.
type Config struct {
	Streams *syncstream.Streams
	Tokens  Verifier
	Ready   func(context.Context) error // nil unless the process drains, or lacks what it needs
	Log     *slog.Logger
}

// Verifier looks at the tokens of devices, as [token.PowerSyncIssuer] does.
type Verifier interface {
	Verify(ctx context.Context, raw string) (userID string, expires time.Time, err error)
}

type api struct{ Config }

// Mount returns a function that adds the API's routes.
func Mount(c Config) func(*echo.Echo) {
	a := &api{c}
	return func(e *echo.Echo) {
		if c.Streams == nil {
			return
		}
		e.POST(middleware.StreamPath, a.stream)
		httpapi.Read(e, "/write-checkpoint2.json", a.stepCheckpoint) // the protocol has a GET change something
		e.POST("/sync/checkpoint-request", a.raiseCheckpoint)
		httpapi.Read(e, "/probes/startup", a.alive)
		httpapi.Read(e, "/probes/liveness", a.alive)
		httpapi.Read(e, "/probes/readiness", a.ready)
	}
}

const retryAfter = 5 * time.Second // as long as a device waits by itself

// Refusals, by PowerSync's codes.
var (
	errInvalidToken = apierror.New(http.StatusUnauthorized, "PSYNC_S2101", "The token is invalid")
	errExpired      = apierror.New(http.StatusUnauthorized, "PSYNC_S2103", "The token has expired")
	errTooLong      = apierror.New(http.StatusUnauthorized, "PSYNC_S2104", "The token is good for more than a day")
	errAudience     = apierror.New(http.StatusUnauthorized, "PSYNC_S2105", "The token is for another audience")
	errNoToken      = apierror.New(http.StatusUnauthorized, "PSYNC_S2106", "A token is needed")
	errNoUser       = apierror.New(http.StatusUnauthorized, "PSYNC_S2101", "The account is gone or disabled")
	errTooMany      = &apierror.Error{
		Status: http.StatusTooManyRequests, Code: "PSYNC_S2304", Message: "Too many streams at once", RetryAfter: retryAfter,
	}
	errNotReady = &apierror.Error{
		Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable, Message: "The service is not ready", RetryAfter: retryAfter,
	}
)

// refusals gives PowerSync's errors for those of the domain. The first that matches holds.
var refusals = []struct {
	of error
	as *apierror.Error
}{
	{token.ErrExpired, errExpired},
	{token.ErrAudience, errAudience},
	{token.ErrTooLong, errTooLong},
	{token.ErrInvalid, errInvalidToken},
	{syncstream.ErrExpired, errExpired},
	{syncstream.ErrNoUser, errNoUser},
	{syncstream.ErrTooMany, errTooMany},
	{syncstream.ErrDraining, errNotReady},
}

func refusal(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.of) {
			return r.as.With(err)
		}
	}
	return err
}

// authenticate returns whose device asks, and until when its token is good. Codes: PSYNC_S2101, S2103, S2104, S2105, S2106 (401).
func (a *api) authenticate(c echo.Context) (userID string, expires time.Time, err error) {
	raw := deviceToken(c.Request())
	if raw == "" {
		return "", time.Time{}, errNoToken
	}
	userID, expires, err = a.Tokens.Verify(c.Request().Context(), raw)
	return userID, expires, refusal(err)
}

// deviceToken returns the token of an Authorization header of the scheme Token, which devices send, or Bearer, "" where there is not
// exactly one.
func deviceToken(r *http.Request) string {
	values := r.Header.Values(echo.HeaderAuthorization)
	if len(values) != 1 {
		return ""
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(raw)
}

// stream serves POST /sync/stream: a streamRequest to 200 and a stream of lines that lasts, at most, as long as the token. Codes: those of
// authenticate, JSON_PARSE_ERROR and INVALID_FIELD (400), BODY_TOO_LARGE (413), PSYNC_S2304 (429), PSYNC_S2003 (503).
func (a *api) stream(c echo.Context) error {
	s, in, err := a.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	began, device := time.Now(), newWire(c)
	return a.ended(c, device, began, s.Run(c.Request().Context(), in, device))
}

// open returns a stream for the device that asks, and what it asks for. It and ended are apart from stream, which waits on a small stack.
func (a *api) open(c echo.Context) (*syncstream.Stream, *syncstream.Request, error) {
	userID, expires, err := a.authenticate(c)
	if err != nil {
		return nil, nil, err
	}
	s, err := a.Streams.Open(userID)
	if err != nil {
		return nil, nil, refusal(err)
	}
	in, err := decodeStream(c)
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	in.Expires, in.Format = expires, format(c.Request())
	return s, &in, nil
}

// ended says why a stream ended: to the device where it has heard nothing yet, and to the log.
func (a *api) ended(c echo.Context, device *wire, began time.Time, why error) error {
	if !c.Response().Committed {
		return refusal(why)
	}
	device.end()
	a.Log.Log(c.Request().Context(), levelOf(why), "stream ended", "why", why, "took", time.Since(began).Round(time.Second).String())
	return nil
}

// levelOf returns how much the operator should care why a stream ended.
func levelOf(why error) slog.Level {
	for _, usual := range []error{
		context.Canceled, syncstream.ErrGone, syncstream.ErrExpired, syncstream.ErrDraining, syncstream.ErrNoUser,
	} {
		if errors.Is(why, usual) {
			return slog.LevelDebug
		}
	}
	return slog.LevelWarn
}

type data struct {
	Data any `json:"data"`
}

type writeCheckpoint struct {
	WriteCheckpoint string `json:"write_checkpoint"` // decimal
}

type checkpointRequestID struct {
	CheckpointRequestID string `json:"checkpoint_request_id"` // decimal
}

// stepCheckpoint serves GET /write-checkpoint2.json?client_id=: 200 {"data":{"write_checkpoint":"7"}}. Codes: those of authenticate,
// INVALID_FIELD (400).
func (a *api) stepCheckpoint(c echo.Context) error {
	httpapi.NoStore(c)
	userID, _, err := a.authenticate(c)
	if err != nil {
		return err
	}
	client := c.QueryParam("client_id")
	if err := checkClient(client); err != nil {
		return err
	}
	n, err := a.Streams.WriteCheckpoint(c.Request().Context(), userID, client, 0)
	if err != nil {
		return refusal(err)
	}
	return httpapi.WriteJSON(c, http.StatusOK, data{writeCheckpoint{strconv.FormatInt(n, 10)}})
}

// raiseCheckpoint serves POST /sync/checkpoint-request: {client_id, checkpoint_request_id} to 200
// {"data":{"checkpoint_request_id":"3"}}, the highest that was asked for. Codes: those of authenticate, JSON_PARSE_ERROR, INVALID_FIELD
// (400).
func (a *api) raiseCheckpoint(c echo.Context) error {
	httpapi.NoStore(c)
	userID, _, err := a.authenticate(c)
	if err != nil {
		return err
	}
	client, id, err := decodeCheckpoint(c)
	if err != nil {
		return err
	}
	n, err := a.Streams.WriteCheckpoint(c.Request().Context(), userID, client, id)
	if err != nil {
		return refusal(err)
	}
	return httpapi.WriteJSON(c, http.StatusOK, data{checkpointRequestID{strconv.FormatInt(n, 10)}})
}

// alive serves GET /probes/startup and /probes/liveness: 200 {"data":{}}.
func (a *api) alive(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, data{struct{}{}})
}

// ready serves GET /probes/readiness: 200 {"data":{}}. Codes: PSYNC_S2003 (503) while the process drains or lacks what it needs.
func (a *api) ready(c echo.Context) error {
	if err := a.Ready(c.Request().Context()); err != nil {
		return errNotReady.With(err)
	}
	return a.alive(c)
}
