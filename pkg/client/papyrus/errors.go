package papyrus

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What callers decide by, with [errors.Is].
var (
	// ErrSignedOut is the error of calls that need a sign-in where there is none, or where it was just refused.
	ErrSignedOut = errors.New("not signed in")
	// ErrUnreachable is behind every failure that says nothing about the call: no network, a time-out, 429, 5xx, or an answer of
	// something that is not papyrus. Tokens are kept.
	ErrUnreachable = errors.New("the server cannot be reached")
	// ErrOtherUser is the error of a [Session] whose user is no longer the one who is signed in on this device.
	ErrOtherUser = errors.New("somebody else is signed in on this device now")
)

// Error is an answer of the server that is no success. Its texts are made safe to be shown.
type Error struct {
	Status     int    // the HTTP status
	Code       string // for programs, such as VALIDATION_ERROR; "" where there is none
	Message    string // for people
	Fields     []FieldError
	RetryAfter time.Duration // 0 where the server does not say
}

// FieldError says what is wrong with a field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error returns what is wrong with the fields, by their names, else the message.
func (e *Error) Error() string {
	if len(e.Fields) > 0 {
		texts := make([]string, len(e.Fields))
		for i, f := range e.Fields {
			texts[i] = f.Message
			if !strings.Contains(f.Message, f.Field) {
				texts[i] = f.Field + ": " + f.Message
			}
		}
		return strings.Join(texts, "; ")
	}
	if e.Message == "" {
		return fmt.Sprintf("the server answers %d %s", e.Status, http.StatusText(e.Status))
	}
	return e.Message
}

// Is reports for [ErrUnreachable] whether another try, later, may have another answer.
func (e *Error) Is(target error) bool {
	return target == ErrUnreachable && (e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError)
}

// lacking returns the error of an answer without what papyrus always has in it: something else answers, and nothing is confirmed.
func lacking(what string) error { return fmt.Errorf("%w: its answer has no %s", ErrUnreachable, what) }

// whySignedOut returns an [ErrSignedOut] with what a refused refresh means for a person: a 401 says no more than that it was refused.
func whySignedOut(refusal error) error {
	if e, ok := errors.AsType[*Error](refusal); ok && e.Status == http.StatusForbidden {
		return fmt.Errorf("%w: %w", ErrSignedOut, e)
	}
	return fmt.Errorf("%w: the session has ended", ErrSignedOut)
}

// refused reports whether a refresh was refused for good.
func refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}
