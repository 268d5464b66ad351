package supabase_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/supabase"
)

const (
	projectURL = "https://project.supabase.test"
	issuer     = projectURL + "/auth/v1"
	userID     = "5d0bd6d4-51a4-4b6c-9f5e-7a4a4a0a3f01"
)

// userJSON is the user object of Supabase Auth, as measured, in part.
const userJSON = `{"id":"` + userID + `","aud":"authenticated","role":"authenticated","email":"reader@example.com","phone":"",` +
	`"app_metadata":{"provider":"email","providers":["email"]},"user_metadata":{"email_verified":true},"identities":[],"is_anonymous":false}`

// sessionJSON is its answer to sign-up, sign-in and refresh.
const sessionJSON = `{"access_token":"a.b.c","token_type":"bearer","expires_in":3600,"expires_at":1700003600,"refresh_token":"r1","user":` + userJSON + `}`

// answers returns a handler that gives one answer to everything.
func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// newClient returns a Client of a project that h answers for.
func newClient(t *testing.T, h http.Handler) *supabase.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return supabase.NewClient(srv.URL+"/", secret.New("anon"), srv.Client().Transport)
}

// code returns the code that a client sees, "" for no error.
func code(err error) apierror.Code {
	if err == nil {
		return ""
	}
	return apierror.From(err).Code
}

var someone = provision.Credentials{Email: "reader@example.com", Password: secret.New("a long password")}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// served is a transport to a handler.
func served(h http.Handler) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result(), nil
	})
}

var noon = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// claims are those of a valid JWT; edit changes some, and takes away those it sets to nil.
func claims(edit jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": issuer, "aud": "authenticated", "sub": userID, "role": "authenticated",
		"iat": noon.Add(-time.Minute).Unix(), "exp": noon.Add(time.Hour).Unix(),
	}
	for name, value := range edit {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func mustSign(t *testing.T, method jwt.SigningMethod, keyID string, key any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	if keyID != "" {
		token.Header["kid"] = keyID
	}
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// jwks answers with keys, whatever their kind.
func jwks(t *testing.T, keys ...any) http.HandlerFunc {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return answers(http.StatusOK, string(body))
}

func public(id, algorithm string, key any) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: algorithm, Use: "sig"}
}
