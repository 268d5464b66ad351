package provision_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/binding"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/signing"
)

const sentAt = `"sentAt":"2026-03-20T10:15:30.000Z"`

// requests are bodies of POST /send, in the order in which the contract decides them, and what they are refused with.
var requests = []struct {
	name, body string
	code       apierror.Code
	text       string // of the error
}{
	{"empty", ``, apierror.JSONParseError, "invalid json"},
	{"null", `null`, apierror.JSONParseError, "invalid json"},
	{"an array", `[{"action":"ping"}]`, apierror.JSONParseError, "invalid json"},
	{"a string", `"ping"`, apierror.JSONParseError, "invalid json"},
	{"two objects", `{"action":"ping"}{}`, apierror.JSONParseError, "invalid json"},
	{"a cut object", `{"action":"ping"`, apierror.JSONParseError, "invalid json"},
	{"a member twice", `{"action":"ping","action":"pong"}`, apierror.JSONParseError, "invalid json"},
	{"a member twice, deep inside", `{"action":"ping","x":{"a":1,"a":2}}`, apierror.JSONParseError, "invalid json"},
	{"a member twice, once escaped", `{"action":"ping","\u0061ction":"pong"}`, apierror.JSONParseError, "invalid json"},
	{"not UTF-8", "{\"action\":\"ping\xff\"}", apierror.JSONParseError, "invalid json"},
	{"a lone surrogate", `{"action":"\ud800"}`, apierror.JSONParseError, "invalid json"},
	{"a byte order mark", "\ufeff{}", apierror.JSONParseError, "invalid json"},

	{"no action", `{"userId":"u1",` + sentAt + `}`, apierror.MissingFields, "missing or not a string: action"},
	{"an action of another case", `{"Action":"ping","userId":"u1",` + sentAt + `}`, apierror.MissingFields, "missing or not a string: action"},
	{"an action that is null", `{"action":null}`, apierror.MissingFields, "missing or not a string: action"},
	{"an action that is a number", `{"action":1}`, apierror.MissingFields, "missing or not a string: action"},

	{"a key without name and tier", `{"action":"provision_api_key","jwt":"a.b.c"}`, apierror.MissingFields, "missing or not a string: name, tier"},
	{"a key without name", `{"action":"provision_api_key","jwt":"a.b.c","tier":"new"}`, apierror.MissingFields, "missing or not a string: name"},
	{"a key with an empty tier", `{"action":"provision_api_key","jwt":"a.b.c","name":"n","tier":""}`, apierror.MissingFields, "missing or not a string: tier"},
	{"a key with a name of another type", `{"action":"provision_api_key","jwt":"a.b.c","name":["n"],"tier":"new"}`, apierror.MissingFields, "missing or not a string: name"},
	{"a key without name or jwt: the name first", `{"action":"provision_api_key","tier":"new"}`, apierror.MissingFields, "missing or not a string: name"},
	{"a key without jwt", `{"action":"provision_api_key","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a jwt of two parts", `{"action":"provision_api_key","jwt":"a.b","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a jwt of four parts", `{"action":"provision_api_key","jwt":"a.b.c.d","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a jwt with an empty signature", `{"action":"provision_api_key","jwt":"a.b.","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a jwt with an empty middle", `{"action":"provision_api_key","jwt":"a..c","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a jwt with padding", `{"action":"provision_api_key","jwt":"a.b.c=","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a jwt with a scheme", `{"action":"provision_api_key","jwt":"Bearer a.b.c","name":"n","tier":"new"}`, provision.CodeInvalidAuth, "missing or invalid jwt"},
	{"a key", provisionBody, "", ""},
	{"a key with sentAt, email and more", `{"action":"provision_api_key","jwt":"a.b.c","name":"n","tier":"new",` + sentAt + `,"email":"a@b.c","x":{}}`, "", ""},
	{"a key with a sentAt that is no time", `{"action":"provision_api_key","jwt":"a.b.c","name":"n","tier":"new","sentAt":5}`, "", ""},

	{"an event without user", `{"action":"ping",` + sentAt + `}`, apierror.MissingFields, "missing or not a string: userId"},
	{"an event without time", `{"action":"ping","userId":"u1"}`, apierror.MissingFields, "missing or not a string: sentAt"},
	{"an event with a null user alone", `{"action":"ping","userId":null}`, apierror.MissingFields, "missing or not a string: userId, sentAt"},
	{"an event with words for a time", `{"action":"ping","userId":"u1","sentAt":"yesterday"}`, apierror.InvalidField, "sentAt must be an RFC 3339 time"},
	{"an event without a zone", `{"action":"ping","userId":"u1","sentAt":"2026-03-20T10:15:30"}`, apierror.InvalidField, "sentAt must be an RFC 3339 time"},
	{"an event with a comma in its time", `{"action":"ping","userId":"u1","sentAt":"2026-03-20T10:15:30,5Z"}`, apierror.InvalidField, "sentAt must be an RFC 3339 time"},
	{"an event with one digit for the hour", `{"action":"ping","userId":"u1","sentAt":"2026-03-20T1:15:30Z"}`, apierror.InvalidField, "sentAt must be an RFC 3339 time"},
	{"an event in the year 10000 of UTC", `{"action":"ping","userId":"u1","sentAt":"9999-12-31T23:59:59-01:00"}`, apierror.InvalidField, "sentAt must be an RFC 3339 time"},
	{"an event before the year 0 of UTC", `{"action":"ping","userId":"u1","sentAt":"0000-01-01T00:00:00+01:00"}`, apierror.InvalidField, "sentAt must be an RFC 3339 time"},
	{"an event with a user of 129 characters", `{"action":"ping","userId":"` + strings.Repeat("ü", 129) + `",` + sentAt + `}`, apierror.InvalidField, "userId must be at most 128 characters without control characters"},
	{"an event with a user of 128 characters", `{"action":"ping","userId":"` + strings.Repeat("ü", 128) + `",` + sentAt + `}`, "", ""},
	{"an event with a zero byte in its user", `{"action":"ping","userId":"u\u0000",` + sentAt + `}`, apierror.InvalidField, "userId must be at most 128 characters without control characters"},
	{"an event with an empty action", `{"action":"","userId":"u1",` + sentAt + `}`, provision.CodeUnknownAction, "unknown action"},
	{"an event in upper case", `{"action":"Ping","userId":"u1",` + sentAt + `}`, provision.CodeUnknownAction, "unknown action"},
	{"an event with a line break", `{"action":"ping\n","userId":"u1",` + sentAt + `}`, provision.CodeUnknownAction, "unknown action"},
	{"an action of 65 characters", `{"action":"` + strings.Repeat("a", 65) + `","userId":"u1",` + sentAt + `}`, provision.CodeUnknownAction, "unknown action"},
	{"an action of 64 characters", `{"action":"` + strings.Repeat("a", 64) + `","userId":"u1",` + sentAt + `}`, "", ""},
	{"an event", `{"action":"app.open:v1_2-x","userId":"u1",` + sentAt + `}`, "", ""},
	{"an event with a zone", `{"action":"ping","userId":"u1","sentAt":"2026-03-20T10:15:30.123456789+05:30"}`, "", ""},

	{"an action alone", `{"action":"ping"}`, provision.CodeUnknownAction, "unknown action"},
	{"an empty action alone", `{"action":""}`, provision.CodeUnknownAction, "unknown action"},
	{"nearly the reserved action", `{"action":"provision_api_keys","jwt":"a.b.c","name":"n","tier":"new"}`, provision.CodeUnknownAction, "unknown action"},
}

func TestParseRequest(t *testing.T) {
	for _, tt := range requests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := provision.ParseRequest([]byte(tt.body))
			if code(err) != tt.code {
				t.Fatalf("ParseRequest(%s) = %v, want code %q", tt.body, err, tt.code)
			}
			if err != nil && apierror.From(err).Message != tt.text {
				t.Errorf("text = %q, want %q", apierror.From(err).Message, tt.text)
			}
		})
	}
}

func TestParseRequestReadsMembers(t *testing.T) {
	at := time.Date(2026, 3, 20, 10, 15, 30, 0, time.UTC)
	for body, want := range map[string]provision.Request{
		`{"action":"provision_api_key","jwt":"a.b.c","name":"Zoë 🔑","tier":"new","userId":"u1"}`: {
			Action: "provision_api_key", JWT: "a.b.c", Name: "Zoë 🔑", Tier: "new", UserID: "u1", ClaimsUser: true,
		},
		`{"action":"ping","userId":"u1","jwt":"a.b.c","sentAt":"2026-03-20T12:15:30+02:00"}`: {
			Action: "ping", UserID: "u1", JWT: "a.b.c", SentAt: at,
		},
	} {
		got, err := provision.ParseRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(provision.Request{})); diff != "" {
			t.Errorf("ParseRequest(%s) (-want +got):\n%s", body, diff)
		}
	}
}

func TestParseCredentials(t *testing.T) {
	long := strings.Repeat("a", 250) + "@b.c" // 254 characters
	for _, tt := range []struct {
		name, body string
		code       apierror.Code
	}{
		{"credentials", `{"email":"a@b.c","password":"p"}`, ""},
		{"the longest e-mail", `{"email":"` + long + `","password":"p"}`, ""},
		{"an e-mail one longer", `{"email":"a` + long + `","password":"p"}`, provision.CodeInvalidEmail},
		{"null", `null`, apierror.JSONParseError},
		{"no e-mail", `{"password":"p"}`, apierror.MissingFields},
		{"an empty password", `{"email":"a@b.c","password":""}`, apierror.MissingFields},
		{"a password that is a number", `{"email":"a@b.c","password":12345678}`, apierror.MissingFields},
		{"no domain", `{"email":"a","password":"p"}`, provision.CodeInvalidEmail},
		{"no top-level domain", `{"email":"a@b","password":"p"}`, provision.CodeInvalidEmail},
		{"two at signs", `{"email":"a@b@c.d","password":"p"}`, provision.CodeInvalidEmail},
		{"a space", `{"email":"a b@c.d","password":"p"}`, provision.CodeInvalidEmail},
		{"a line break", `{"email":"a@b.c\nBcc: d@e.f","password":"p"}`, provision.CodeInvalidEmail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := provision.ParseCredentials([]byte(tt.body)); code(err) != tt.code {
				t.Errorf("ParseCredentials() = %v, want code %q", err, tt.code)
			}
			want := tt.code
			if strings.Contains(tt.name, "password") {
				want = ""
			}
			if _, err := provision.ParseEmail([]byte(tt.body)); code(err) != want {
				t.Errorf("ParseEmail() = %v, want code %q", err, want)
			}
		})
	}
}

func TestCheckIdempotencyKey(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []string
		ok     bool
	}{
		{"none", nil, true},
		{"one character", []string{" "}, true},
		{"255 characters", []string{strings.Repeat("~", 255)}, true},
		{"256 characters", []string{strings.Repeat("~", 256)}, false},
		{"an empty one", []string{""}, false},
		{"two", []string{"a", "a"}, false},
		{"a control character", []string{"a\tb"}, false},
		{"beyond ASCII", []string{"é"}, false},
	} {
		if err := provision.CheckIdempotencyKey(tt.values); (err == nil) != tt.ok || !tt.ok && code(err) != apierror.InvalidField {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzParseRequest holds that no body panics, that the outcome is one of the contract's, that the receiver judges as the sender
// does the bytes that it gets, and that an accepted event can be written out again.
func FuzzParseRequest(f *testing.F) {
	for _, r := range requests {
		f.Add([]byte(r.body))
	}
	known := map[apierror.Code]bool{
		"": true, apierror.JSONParseError: true, apierror.MissingFields: true, apierror.InvalidField: true,
		provision.CodeUnknownAction: true, provision.CodeInvalidAuth: true,
	}
	keys, err := signing.NewSingleKey([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		req, err := provision.ParseRequest(body)
		if !known[code(err)] || !bytes.Equal(before, body) {
			t.Fatalf("code %q, body changed: %t", code(err), !bytes.Equal(before, body))
		}
		if err != nil {
			return
		}
		if _, err := json.Marshal(req.SentAt); err != nil {
			t.Errorf("sentAt cannot be written: %v", err)
		}

		inbox := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var got bytes.Buffer
			_, _ = got.ReadFrom(r.Body)
			again, err := provision.ParseRequest(got.Bytes())
			if diff := cmp.Diff(req, again, cmpopts.IgnoreUnexported(provision.Request{})); diff != "" || err != nil {
				t.Errorf("the receiver reads (%v):\n%s", err, diff)
			}
			_, _ = w.Write([]byte(`{"ok":true}`))
		})
		s := provision.NewSender("http://receiver.test", keys, binding.NewTransport(inbox), time.Now)
		if _, err := s.Forward(t.Context(), provision.Outbound{Body: body}); err != nil {
			t.Error(err)
		}
	})
}
