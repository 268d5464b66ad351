package token_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/token"
)

// FuzzAccessToken holds the verifier to what it signed: no other claims are believed, whatever stands around them.
func FuzzAccessToken(f *testing.F) {
	now := noon
	a, _ := newIssuer(f, mustEC(f, elliptic.P256()), &now)
	good := mustIssue(f, a)
	signed := good[:strings.LastIndex(good, ".")]
	_, unsigned, _ := strings.Cut(good, ".") // but for its header
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for _, seed := range []string{
		good, good[:len(good)-1], good + ".", " " + good, strings.ToUpper(good), signed + ".", none + "." + unsigned, "", "..", "a.b.c",
		strings.Repeat(".", token.MaxLen), "Bearer " + good, good + "\n", strings.ReplaceAll(good, ".", ".."),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := a.Verify(t.Context(), raw)
		if err != nil {
			if got != (token.Subject{}) {
				t.Errorf("refused, and yet %+v", got)
			}
			return
		}
		if got != alice || raw[:strings.LastIndex(raw, ".")] != signed {
			t.Errorf("Verify(%q) = %+v", raw, got)
		}
	})
}
