package papyrus

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/strictjson"
	"github.com/provisioner/provisioner/pkg/text"
)

// What a refusal says of fields. It never shows what they hold.
const (
	wrongFields = "Some fields are missing or wrong"

	missing        = "is required"
	notString      = "must be a string"
	notBool        = "must be true or false"
	notEmail       = "must be an email address"
	notDisplayName = "must be 1 to 100 characters without control characters"
	notDeviceLabel = "must be at most 255 characters without control characters"
	notClientType  = "must be mobile, desktop, web or unknown"
	notAvatar      = "must be an https URL of at most 2048 characters, or null"
)

const (
	maxDisplayNameLen = 100
	maxDeviceLabelLen = 255
	unknownClient     = "unknown"
)

var clientTypes = []string{"mobile", "desktop", "web", unknownClient}

// badField is a field that is not as it should be.
type badField struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

type badFields struct {
	Fields []badField `json:"fields"`
}

// invalid returns 422 VALIDATION_ERROR with the fields that are to blame.
func invalid(message string, fields ...badField) *apierror.Error {
	if fields == nil {
		fields = []badField{}
	}
	return &apierror.Error{
		Status: http.StatusUnprocessableEntity, Code: validationError, Message: message, Details: badFields{fields},
	}
}

// form is the object that a client sent. Its methods read the fields, and note all that are wrong; fields that nobody reads
// do nothing.
type form struct {
	fields map[string]jsontext.Value
	bad    []badField
}

// form reads the request's body, whatever its Content-Type. It returns 413 PAYLOAD_TOO_LARGE, or 422 VALIDATION_ERROR for
// what is no JSON object.
func (a api) form(c echo.Context) (*form, error) {
	body, err := httpapi.ReadBody(c, a.BodyLimit)
	if err != nil {
		return nil, err
	}
	return parseForm(body)
}

// optionalForm is form where an empty body is as good as an empty object.
func (a api) optionalForm(c echo.Context) (*form, error) {
	body, err := httpapi.ReadBody(c, a.BodyLimit)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return &form{}, nil
	}
	return parseForm(body)
}

func parseForm(body []byte) (*form, error) {
	f := &form{}
	if err := strictjson.UnmarshalObject(body, &f.fields); err != nil {
		return nil, errNotObject.With(err)
	}
	return f, nil
}

// refusal returns 422 VALIDATION_ERROR if a field was wrong.
func (f *form) refusal() error {
	if len(f.bad) == 0 {
		return nil
	}
	return invalid(wrongFields, f.bad...)
}

func (f *form) refuse(name, message string) { f.bad = append(f.bad, badField{name, message}) }

// has reports whether a field is there.
func (f *form) has(name string) bool { return f.fields[name] != nil }

// isNull reports whether a field is there and null.
func (f *form) isNull(name string) bool { return f.fields[name].Kind() == jsontext.KindNull }

// text returns a string that must be there and not empty.
func (f *form) text(name string) string {
	if !f.has(name) {
		f.refuse(name, missing)
		return ""
	}
	s, ok := unquote(f.fields[name])
	switch {
	case !ok:
		f.refuse(name, notString)
	case s == "":
		f.refuse(name, missing)
	}
	return s
}

// optional returns a string, "" where there is none or null.
func (f *form) optional(name string) string {
	if !f.has(name) || f.isNull(name) {
		return ""
	}
	s, ok := unquote(f.fields[name])
	if !ok {
		f.refuse(name, notString)
	}
	return s
}

// flag returns a boolean, false where there is none.
func (f *form) flag(name string) bool {
	switch value := f.fields[name]; {
	case value == nil, value.Kind() == jsontext.KindFalse:
		return false
	case value.Kind() == jsontext.KindTrue:
		return true
	}
	f.refuse(name, notBool)
	return false
}

// email returns the address that must be there, trimmed and in lower case.
func (f *form) email() string {
	const name = "email"
	before := len(f.bad)
	email, ok := account.NormalizeEmail(f.text(name))
	if !ok && len(f.bad) == before {
		f.refuse(name, notEmail)
	}
	return email
}

// displayName returns the name that must be there.
func (f *form) displayName() string {
	const field = "display_name"
	before := len(f.bad)
	name := f.text(field)
	if len(f.bad) == before && !text.IsLine(name, maxDisplayNameLen) {
		f.refuse(field, notDisplayName)
	}
	return name
}

// avatar returns what to change of the avatar: nil for nothing, "" to clear it.
func (f *form) avatar() *string {
	const field = "avatar_url"
	switch {
	case !f.has(field):
		return nil
	case f.isNull(field):
		return new(string)
	}
	avatar, _ := unquote(f.fields[field])
	if !account.IsAvatar(avatar) {
		f.refuse(field, notAvatar)
	}
	return &avatar
}

// client returns where a session is to be held. Without a label of its own it has the User-Agent's.
func (f *form) client(c echo.Context) session.Client {
	client := session.Client{Type: unknownClient}
	if f.has("client_type") {
		client.Type, _ = unquote(f.fields["client_type"])
	}
	if !slices.Contains(clientTypes, client.Type) {
		f.refuse("client_type", notClientType)
	}
	client.DeviceLabel = f.optional("device_label")
	switch {
	case client.DeviceLabel == "":
		client.DeviceLabel = c.Request().UserAgent()
	case !text.IsLine(client.DeviceLabel, maxDeviceLabelLen):
		f.refuse("device_label", notDeviceLabel)
	}
	return client
}

// unquote returns what a JSON string holds, and false for a value of another type.
func unquote(value jsontext.Value) (string, bool) {
	if value.Kind() != jsontext.KindString {
		return "", false
	}
	s, err := jsontext.AppendUnquote(nil, bytes.TrimSpace(value))
	return string(s), err == nil
}
