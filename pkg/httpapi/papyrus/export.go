package papyrus

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/library"
)

// identityObject is a user at an OpenID provider.
type identityObject struct {
	IdentityID      string     `json:"identity_id"`
	Provider        string     `json:"provider"`
	ProviderSubject string     `json:"provider_subject"`
	Email           string     `json:"email"`
	EmailVerified   bool       `json:"email_verified"`
	CreatedAt       time.Time  `json:"created_at"`
	LastUsedAt      *time.Time `json:"last_used_at"`
}

func newIdentities(identities []account.Identity) []identityObject {
	out := make([]identityObject, len(identities))
	for i, id := range identities {
		out[i] = identityObject{
			IdentityID: id.ID, Provider: id.Provider, ProviderSubject: id.Subject, Email: id.Email,
			EmailVerified: id.EmailVerified, CreatedAt: id.CreatedAt, LastUsedAt: timeOrNull(id.LastUsedAt),
		}
	}
	return out
}

// eventObject is an event that the user's clients reported.
type eventObject struct {
	ID         int64           `json:"id"`
	Action     string          `json:"action"`
	SentAt     time.Time       `json:"sent_at"`
	ReceivedAt time.Time       `json:"received_at"`
	Verified   bool            `json:"verified"` // it came with an access token of the user
	Body       json.RawMessage `json:"body"`
}

func newEvent(e event.Event) eventObject {
	return eventObject{e.ID, e.Action, e.SentAt, e.ReceivedAt, e.Verified, e.Body}
}

// auditObject is an entry of the audit log that concerns the user.
type auditObject struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	SessionID string    `json:"session_id"`
	KeyID     string    `json:"key_id"`
	Network   string    `json:"network"`
	RequestID string    `json:"request_id"`
	Detail    string    `json:"detail"`
	Count     int       `json:"count"`
}

func newAudit(e audit.Entry) auditObject {
	return auditObject{e.ID, e.At, string(e.Kind), e.SessionID, e.KeyID, e.Network, e.RequestID, e.Detail, e.Count}
}

// export serves GET /v1/users/me/export: 200 and all data of the user as one JSON object, {user, preferences, identities,
// sessions, api_keys, events, audit, a list of rows by the name of each synced table, dead_letters}. What may be long is read as it is
// sent; if that fails the answer breaks off.
func (a api) export(c echo.Context, who account.Principal) error {
	head, err := a.exportHead(c.Request().Context(), who)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/json; charset=utf-8")
	h.Set(echo.HeaderContentDisposition, `attachment; filename="papyrus-export.json"`)
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	if err := a.exportTo(c.Request().Context(), c.Response(), who, head); err != nil {
		a.Options.Log.WarnContext(c.Request().Context(), "export broke off", "user_id", who.UserID, "err", err)
		panic(http.ErrAbortHandler) //nolint:forbidigo // an answer that has begun cannot fail otherwise
	}
	return nil
}

// member is one of the export's, in their order.
type member struct {
	name  string
	value any
}

// exportHead returns what is never long.
func (a api) exportHead(ctx context.Context, who account.Principal) ([]member, error) {
	user, err := a.Accounts.User(ctx, who)
	if err != nil {
		return nil, err
	}
	preferences, err := a.Accounts.Preferences(ctx, who)
	if err != nil {
		return nil, err
	}
	identities, err := a.Accounts.Identities(ctx, who)
	if err != nil {
		return nil, err
	}
	live, err := a.Accounts.Sessions(ctx, who)
	if err != nil {
		return nil, err
	}
	return []member{
		{"user", newUser(user)},
		{"preferences", json.RawMessage(preferences)},
		{"identities", newIdentities(identities)},
		{"sessions", newSessions(live, who)},
	}, nil
}

func (a api) exportTo(ctx context.Context, w io.Writer, who account.Principal, head []member) error {
	x := exporter{w: w, next: "{"}
	for _, m := range head {
		x.member(m.name, m.value)
	}
	list(&x, "api_keys", a.allKeys(ctx, who))
	list(&x, "events", each(a.Events.Events(ctx, event.Filter{UserID: who.UserID}), newEvent))
	list(&x, "audit", each(audit.List(ctx, a.Audit, audit.Filter{UserID: who.UserID}), newAudit))
	for _, t := range library.Tables {
		list(&x, t.Name, each(library.ListRows(ctx, a.Library, t, who.UserID), func(k library.Kept) json.RawMessage {
			return t.Encode(k.ID, who.UserID, k.Row)
		}))
	}
	list(&x, "dead_letters", each(library.WholeLetters(ctx, a.Library, who.UserID), newOpenedLetter))
	x.write("}\n")
	return x.err
}

// allKeys yields the user's keys, page by page.
func (a api) allKeys(ctx context.Context, who account.Principal) iter.Seq2[keyObject, error] {
	return func(yield func(keyObject, error) bool) {
		for cursor := ""; ; {
			page, next, err := a.Keys.List(ctx, who.UserID, cursor)
			if err != nil {
				yield(keyObject{}, err)
				return
			}
			for _, k := range newKeyPage(page, next).Keys {
				if !yield(k, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

// each yields what f makes of the elements of seq.
func each[T, U any](seq iter.Seq2[T, error], f func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		for v, err := range seq {
			if !yield(f(v), err) {
				return
			}
		}
	}
}

// exporter writes a JSON object member by member. After an error it writes nothing.
type exporter struct {
	w    io.Writer
	next string // what goes before the next member
	err  error
}

func (x *exporter) member(name string, value any) {
	x.write(x.next + `"` + name + `":`)
	x.next = ","
	x.encode(value)
}

// list writes a member whose value is a list of what seq yields.
func list[T any](x *exporter, name string, seq iter.Seq2[T, error]) {
	x.write(x.next + `"` + name + `":[`)
	x.next = ","
	separator := ""
	for v, err := range seq {
		if x.err == nil {
			x.err = err
		}
		if x.err != nil {
			return
		}
		x.write(separator)
		x.encode(v)
		separator = ","
	}
	x.write("]")
}

func (x *exporter) encode(value any) {
	text, err := json.Marshal(value)
	if x.err == nil {
		x.err = err
	}
	x.write(string(text))
}

func (x *exporter) write(s string) {
	if x.err == nil {
		_, x.err = io.WriteString(x.w, s)
	}
}
