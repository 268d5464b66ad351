package provision

import (
	"regexp"
	"time"

	"github.com/provisioner/provisioner/pkg/strictjson"
	"github.com/provisioner/provisioner/pkg/text"
)

// Request is the body of POST /send and POST /inbox, in the members that sender and receiver look at.
type Request struct {
	Action string
	JWT    string    // three base64url parts; "" in an event without one
	Name   string    // provision_api_key: what the user calls the key
	Tier   string    // provision_api_key: the tier that is asked for
	UserID string    // an event's user; of a provision request, whose it claims to be
	SentAt time.Time // an event's time; zero otherwise

	// ClaimsUser says that a provision request names a user, in whatever type.
	ClaimsUser bool

	action action
}

type members struct {
	Action strictjson.Text `json:"action"`
	JWT    strictjson.Text `json:"jwt"`
	Name   strictjson.Text `json:"name"`
	Tier   strictjson.Text `json:"tier"`
	UserID strictjson.Text `json:"userId"`
	SentAt strictjson.Text `json:"sentAt"`
}

// ParseRequest reads a body as far as sender and receiver judge it alike (contract: provisioning, section 2, /send
// bodies). Its errors are those of the contract: JSON_PARSE_ERROR, MISSING_FIELDS, INVALID_FIELD, UNKNOWN_ACTION and
// INVALID_AUTH.
func ParseRequest(body []byte) (Request, error) {
	var m members
	if err := strictjson.UnmarshalObject(body, &m); err != nil {
		return Request{}, ErrNotObject.With(err)
	}
	if !m.Action.Valid {
		return Request{}, missingFields("action")
	}

	chosen, ok := actions[m.Action.Value]
	if !ok {
		if !m.UserID.Present && !m.SentAt.Present {
			return Request{}, ErrUnknownAction
		}
		chosen = eventAction
	}
	req, err := chosen.parse(m)
	req.Action, req.action = m.Action.Value, chosen
	return req, err
}

var actionName = regexp.MustCompile(`^[a-z0-9_.:-]{1,64}$`)

const (
	maxUserIDLen         = 128
	maxIdempotencyKeyLen = 255
)

// CheckIdempotencyKey returns INVALID_FIELD unless the values of an Idempotency-Key header are none, or one of 1 to 255
// printable ASCII characters.
func CheckIdempotencyKey(values []string) error {
	if len(values) == 0 || len(values) == 1 && text.IsPrintableASCII(values[0], maxIdempotencyKeyLen) {
		return nil
	}
	return invalidField("Idempotency-Key", "must be one header of 1 to 255 printable ASCII characters")
}

// parseEvent reads {"userId","action","sentAt"}, and a jwt where there is one.
func parseEvent(m members) (Request, error) {
	if missing := absent("userId", m.UserID, "sentAt", m.SentAt); missing != nil {
		return Request{}, missingFields(missing...)
	}
	sentAt, ok := parseTime(m.SentAt.Value)
	if !ok {
		return Request{}, invalidField("sentAt", "must be an RFC 3339 time")
	}
	if !text.IsLine(m.UserID.Value, maxUserIDLen) {
		return Request{}, invalidField("userId", "must be at most 128 characters without control characters")
	}
	if !actionName.MatchString(m.Action.Value) {
		return Request{}, ErrUnknownAction
	}
	return Request{UserID: m.UserID.Value, SentAt: sentAt, JWT: m.JWT.Value}, nil
}

// timeForm is RFC 3339 §5.6 to the letter: [time.Parse] also takes a comma, one digit for the hour, and offsets of a day.
var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime reads an RFC 3339 time whose year has four digits in UTC too: else the event could not be written out again.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	t = t.UTC()
	return t, err == nil && timeForm.MatchString(s) && t.Year() >= 0 && t.Year() <= 9999
}

// parseProvision reads {"action","jwt","name","tier"}.
func parseProvision(m members) (Request, error) {
	if missing := absent("name", m.Name, "tier", m.Tier); missing != nil {
		return Request{}, missingFields(missing...)
	}
	if !isJWT(m.JWT.Value) {
		return Request{}, ErrInvalidAuth
	}
	return Request{JWT: m.JWT.Value, Name: m.Name.Value, Tier: m.Tier.Value, UserID: m.UserID.Value, ClaimsUser: m.UserID.Present}, nil
}

// absent returns those of two names whose members are not strings or empty.
func absent(name1 string, t1 strictjson.Text, name2 string, t2 strictjson.Text) []string {
	var names []string
	if t1.Value == "" {
		names = append(names, name1)
	}
	if t2.Value == "" {
		names = append(names, name2)
	}
	return names
}

// maxJWTLen is the length of the longest JWT that anybody is asked about.
const maxJWTLen = 4096

// isJWT reports whether s has the shape of a compact JWS (RFC 7515 §7.1), three base64url parts, none empty, and a length
// that a JWT of a user has.
func isJWT(s string) bool {
	if len(s) > maxJWTLen {
		return false
	}
	dots := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if i == 0 || i == len(s)-1 || s[i-1] == '.' {
				return false
			}
			dots++
		case !isBase64URL(c):
			return false
		}
	}
	return dots == 2
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
