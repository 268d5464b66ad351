package vectors_test

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/test/vectors"
)

func TestSigning(t *testing.T) {
	for _, v := range vectors.Load[vectors.Signing](t, "signing.json") {
		t.Run(v.Name, func(t *testing.T) {
			switch v.Kind {
			case "sign":
				if diff := cmp.Diff(v.Signed(t), signed(t, v)); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			case "verify":
				if got := refusal(t, v); got != v.Code {
					t.Errorf("refused with %q, want %q", got, v.Code)
				}
			default:
				t.Errorf("unknown kind %q", v.Kind)
			}
		})
	}
}

func signed(t *testing.T, v vectors.Signing) map[string]string {
	t.Helper()
	ring, err := signing.NewSingleKey([]byte(v.Secret))
	if v.KeyID != "" {
		ring, err = signing.NewKeyring([]signing.Key{{ID: v.KeyID, Secret: []byte(v.Secret)}}, v.KeyID)
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := ring.Sign(time.UnixMilli(v.Now), v.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	header, got := http.Header{}, map[string]string{}
	h.Apply(header)
	for name := range header {
		got[strings.ToLower(name)] = header.Get(name)
	}
	return got
}

// refusal is the code with which a receiver refuses what v receives, "" if it does not.
func refusal(t *testing.T, v vectors.Signing) string {
	t.Helper()
	ring, err := signing.NewSingleKey([]byte(v.Secret))
	if v.Secret == "" {
		var keys []signing.Key
		for id, secret := range v.Keys {
			keys = append(keys, signing.Key{ID: id, Secret: []byte(secret)})
		}
		ring, err = signing.NewKeyring(keys, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	for _, field := range v.Received(t) {
		header.Add(field[0], field[1])
	}
	h, err := signing.FromHTTP(header)
	if err == nil {
		verifier := signing.NewVerifier(ring, time.Duration(v.WindowMs)*time.Millisecond, func() time.Time { return time.UnixMilli(v.Now) })
		_, err = verifier.Verify(h, v.Bytes())
	}
	switch {
	case errors.Is(err, signing.ErrMissingHeaders):
		return "MISSING_AUTH_HEADERS"
	case errors.Is(err, signing.ErrTimestamp):
		return "STALE_TIMESTAMP"
	case err != nil:
		return "INVALID_SIGNATURE"
	}
	return ""
}

func TestSigningWithOpenSSL(t *testing.T) {
	for _, v := range vectors.Load[vectors.Signing](t, "signing.json") {
		if v.Kind != "sign" {
			continue
		}
		headers := v.Signed(t)
		cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-hmac", v.Secret, "-r")
		cmd.Stdin = strings.NewReader(headers["x-timestamp"] + "." + string(v.Bytes()))
		out, err := cmd.Output() // "<hex> *stdin"
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(string(out), " "); got != headers["x-signature"] {
			t.Errorf("%s: openssl gives %s, want %s", v.Name, got, headers["x-signature"])
		}
	}
}
