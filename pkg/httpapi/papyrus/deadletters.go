package papyrus

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/library"
)

const notLetterCursor = "must be the next_cursor of a page of these dead letters"

// deadLetterObject is an upload that can never succeed.
type deadLetterObject struct {
	ID         string          `json:"id"`
	ReceivedAt time.Time       `json:"received_at"`
	Size       int64           `json:"size"`  // of the request's body, in bytes
	Whole      bool            `json:"whole"` // all of the body was kept
	Rejected   json.RawMessage `json:"rejected"`
}

func newDeadLetter(l library.DeadLetter) deadLetterObject {
	return deadLetterObject{ID: l.ID, ReceivedAt: l.ReceivedAt, Size: l.Size, Whole: l.Whole(), Rejected: l.Rejected}
}

// openedLetter is a dead letter with the body of its request.
type openedLetter struct {
	deadLetterObject
	Body any `json:"body"` // JSON, or its text; see [library.DeadLetter.Content]
}

func newOpenedLetter(l library.DeadLetter) openedLetter {
	return openedLetter{newDeadLetter(l), l.Content()}
}

type deadLetterPage struct {
	DeadLetters []deadLetterObject `json:"dead_letters"`
	NextCursor  *string            `json:"next_cursor"` // null on the last page
}

func newDeadLetterPage(letters []library.DeadLetter, next string) deadLetterPage {
	page := deadLetterPage{DeadLetters: make([]deadLetterObject, len(letters))}
	for i, l := range letters {
		page.DeadLetters[i] = newDeadLetter(l)
	}
	if next != "" {
		page.NextCursor = &next
	}
	return page
}

// deadLetters serves GET /v1/sync/dead-letters?cursor=: 200 {"dead_letters":[…],"next_cursor"}, the newest first. Codes:
// VALIDATION_ERROR for a cursor of no page.
func (a api) deadLetters(c echo.Context, who account.Principal) error {
	letters, next, err := library.LetterPage(c.Request().Context(), a.Library, who.UserID, c.QueryParam("cursor"))
	if errors.Is(err, library.ErrNotFound) {
		return invalid(wrongFields, badField{"cursor", notLetterCursor})
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, newDeadLetterPage(letters, next))
}

// deadLetter serves GET /v1/sync/dead-letters/{id}: 200 and the dead letter with its body. Codes: NOT_FOUND for what is none of the
// user's.
func (a api) deadLetter(c echo.Context, who account.Principal) error {
	l, err := a.Library.DeadLetter(c.Request().Context(), who.UserID, c.Param("id"))
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, newOpenedLetter(l))
}
