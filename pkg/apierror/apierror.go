// Package apierror holds the one error that a client may see, its codes and the four JSON shapes it takes on the wire.
// It does not decide when a request fails, and knows nothing of HTTP servers.
package apierror

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code is the "code" of an error body. Clients switch on it, so a released code never changes its meaning.
type Code string

// Codes that every service uses. Those of one area stand beside that area.
const (
	BodyTooLarge         Code = "BODY_TOO_LARGE"
	Forbidden            Code = "FORBIDDEN"
	InternalError        Code = "INTERNAL_ERROR"
	InvalidField         Code = "INVALID_FIELD"
	JSONParseError       Code = "JSON_PARSE_ERROR"
	MethodNotAllowed     Code = "METHOD_NOT_ALLOWED"
	MissingFields        Code = "MISSING_FIELDS"
	NotFound             Code = "NOT_FOUND"
	RateLimited          Code = "RATE_LIMITED"
	ServiceUnavailable   Code = "SERVICE_UNAVAILABLE"
	StoreUnavailable     Code = "STORE_UNAVAILABLE"
	UnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
)

// Error is a failure with a public face and a private cause.
type Error struct {
	Status     int           // HTTP status
	Code       Code          // stable, for programs
	Message    string        // for people; carries no secret, address or driver text
	Details    any           // shown as "details" where the shape has them; nil means {}
	RetryAfter time.Duration // sent as Retry-After, rounded up to seconds; 0 means no header
	Err        error         // the cause: logged, never sent; may be nil
}

// New returns an Error without a cause.
func New(status int, code Code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// Error describes the failure for the log, the cause included.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same status, code and message, whatever their causes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Status == e.Status && t.Code == e.Code && t.Message == e.Message
}

// With returns a copy of e that carries err as its cause.
func (e *Error) With(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// From returns the *Error in err's chain. Anything else is a bug or an outage of ours and becomes 500 INTERNAL_ERROR
// with err as its cause.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Internal(err)
}

// Internal hides err behind 500 INTERNAL_ERROR.
func Internal(err error) *Error {
	return &Error{Status: http.StatusInternalServerError, Code: InternalError, Message: "internal error", Err: err}
}

// Unavailable hides an outage of the database behind 503 STORE_UNAVAILABLE, to be tried again after a second.
func Unavailable(err error) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: StoreUnavailable, Message: "the store is unavailable, try again",
		RetryAfter: time.Second, Err: err,
	}
}
