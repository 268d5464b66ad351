package e2e_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/test/powersync"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// TestSyncSDKRenewsTokens has devices live on PowerSync tokens of 23 s. Streams tell of the end of a token 20 s before: every three
// seconds the SDK gets another and opens its stream anew, and never shows that it is offline.
func TestSyncSDKRenewsTokens(t *testing.T) {
	const life, renewals = 23 * time.Second, 3
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "all", program.Settings{"POWERSYNC_JWT_PRIVATE_KEY": pemOf(t, key), "POWERSYNC_JWT_KEY_ID": "short"})
	owner := register(t, p.URL("papyrus"))
	through := proxy(t, p.URL("papyrus"), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		// A Go server closes the request's body when it begins to answer, and a Go client that still reads it for its end then closes
		// the connection to papyrus, in the middle of a stream.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !strings.HasSuffix(r.URL.Path, "/powersync-token") {
			next.ServeHTTP(w, r)
			return
		}
		answered := httptest.NewRecorder()
		next.ServeHTTP(answered, r)
		token := shorten(t, wire.Answer{Body: answered.Body.String()}.Member("token"), life, key)
		_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":%d}`, token, int(life.Seconds()))
	})

	node := powersync.Start(t)
	devices := map[string]*powersync.Device{}
	for _, encoding := range []string{"ndjson", "bson"} {
		devices[encoding] = node.NewDevice(encoding, powersync.Options{Backend: through, Encoding: encoding, Checkpoints: "legacy"})
		connect(devices[encoding], owner)
	}
	var shelf []string
	for round := range renewals {
		for _, device := range devices {
			program.Eventually(t, "the stream is opened anew", func() bool { return streams(device.Report()) > 1+round })
		}
		shelf = append(shelf, fmt.Sprintf("%d by nobody", round))
		write(devices["bson"], "INSERT INTO books (id, title) VALUES (uuid(), ?)", fmt.Sprint(round))
		for _, device := range devices {
			shelve(device, shelf...)
		}
	}
	for encoding, device := range devices {
		if r := device.Report(); r.Disconnects > 0 || len(r.Errors) > 0 || r.Tokens <= renewals {
			t.Errorf("the device with %s has lived through %+v", encoding, r)
		}
	}
}

// shorten returns a token like another that lives only so long.
func shorten(t *testing.T, token string, life time.Duration, key *rsa.PrivateKey) string {
	t.Helper()
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Error(err)
		return ""
	}
	claims["exp"] = time.Now().Add(life).Unix()
	short, err := parsed.SignedString(key)
	if err != nil {
		t.Error(err)
	}
	keepPowerSyncToken(short)
	return short
}

// streams returns how many streams a device has opened.
func streams(r powersync.Report) int {
	n := 0
	for _, opened := range r.Streams {
		n += opened
	}
	return n
}

func pemOf(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	record.Keep("PowerSync key", text)
	return text
}
