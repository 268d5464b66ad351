package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// reader is somebody with an account who uses papyrus's own API, as the shipped app does.
type reader struct {
	t                       testing.TB
	email, password, userID string
	accessToken             string
	refreshToken            string
}

// register makes an account at papyrus.
func register(t testing.TB, papyrus string) *reader {
	t.Helper()
	r := &reader{t: t, email: strings.ToLower(rand.Text()) + "@example.com", password: record.NewSecret("password")}
	record.Keep("e-mail address", r.email)
	r.take(mustPost(t, papyrus+"/v1/auth/register", r.registration()), http.StatusCreated)
	return r
}

func (r *reader) registration() string {
	return fmt.Sprintf(`{"email":%q,"password":%q,"display_name":"Reader","client_type":"mobile","device_label":"flutter-android"}`, r.email, r.password)
}

func (r *reader) credentials() string {
	return fmt.Sprintf(`{"email":%q,"password":%q,"client_type":"mobile","device_label":"flutter-android"}`, r.email, r.password)
}

// elsewhere returns the reader on another device, signed in.
func (r *reader) elsewhere(papyrus string) *reader {
	r.t.Helper()
	other := *r
	other.take(mustPost(r.t, papyrus+"/v1/auth/login", r.credentials()), http.StatusOK)
	return &other
}

// take replaces the reader's tokens by those of an answer.
func (r *reader) take(a wire.Answer, status int) {
	r.t.Helper()
	if a.Status != status {
		r.t.Fatalf("no tokens: %v", a)
	}
	tokens := keepTokens(a)
	r.accessToken, r.refreshToken, r.userID = tokens.Access, tokens.Refresh, tokens.User.ID
}

// tokens is an AuthTokens.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	User    struct {
		ID string `json:"user_id"`
	} `json:"user"`
}

// keepTokens puts the tokens of an answer on the record and returns them.
func keepTokens(a wire.Answer) tokens {
	var in tokens
	if json.Unmarshal([]byte(a.Body), &in) == nil && in.Access != "" {
		record.Keep("access token", in.Access)
		record.Keep("refresh token", in.Refresh)
	}
	return in
}

// call makes a request with the access token.
func (r *reader) call(method, url, body string) wire.Answer {
	r.t.Helper()
	a, err := client.Call(method, url, body, "Authorization", "Bearer "+r.accessToken)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// refresh presents a refresh token.
func refresh(papyrus, token string) (wire.Answer, error) {
	a, err := post(papyrus+"/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, token))
	keepTokens(a)
	return a, err
}

// mustRefresh is refresh where the connection must hold.
func mustRefresh(t testing.TB, papyrus, token string) wire.Answer {
	t.Helper()
	a, err := refresh(papyrus, token)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// decode reads the JSON of a good answer.
func decode(a wire.Answer, into any) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("status %d", a.Status)
	}
	return json.Unmarshal([]byte(a.Body), into)
}

// nested is the status of an answer and, of an error in the shape of papyrus's own API, the code: "401 SESSION_REVOKED".
func nested(a wire.Answer) string {
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(a.Body), &body) != nil || body.Error.Code == "" {
		return fmt.Sprint(a.Status)
	}
	return fmt.Sprintf("%d %s", a.Status, body.Error.Code)
}

// told is nested, where there may be no answer.
func told(a wire.Answer, err error) string {
	if err != nil {
		return "no answer"
	}
	return nested(a)
}

// access returns the access token, as a device asks for it.
func (r *reader) access(context.Context) (string, error) { return r.accessToken, nil }

func keepPowerSyncToken(token string) { record.Keep("PowerSync token", token) }
