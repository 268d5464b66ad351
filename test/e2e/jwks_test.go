package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
)

// TestJWKSRotation rotates the keys of PowerSync tokens, then those of access tokens, beside a running papyrus, which follows by
// itself. A key that signs, or is about to, cannot be taken away.
func TestJWKSRotation(t *testing.T) {
	const published = 16 * time.Second // a process reads the keys again after 15 s
	p := start(t, "papyrus", nil)
	papyrus := p.URL("papyrus")
	r := register(t, papyrus)
	tests := []struct {
		use, jwks string
		sign      func() string // returns a fresh token
	}{
		{"powersync", papyrus + "/v1/auth/jwks", func() string {
			token := r.call(http.MethodPost, papyrus+"/v1/auth/powersync-token", "").Member("token")
			record.Keep("PowerSync token", token)
			return token
		}},
		{"access", papyrus + "/auth/v1/.well-known/jwks.json", func() string { return r.elsewhere(papyrus).accessToken }},
	}
	for _, tt := range tests {
		t.Run(tt.use, func(t *testing.T) {
			t.Parallel()
			before := jwksOf(t, tt.jwks, "")
			signer := keyIDOf(t, tt.sign())
			if !slices.Equal(before.ids, []string{signer}) {
				t.Fatalf("the keys %v are published, and %q signs", before.ids, signer)
			}
			if again := jwksOf(t, tt.jwks, before.etag); again.status != http.StatusNotModified || again.etag != before.etag || again.ids != nil {
				t.Errorf("to who has it: %+v", again)
			}

			p.Run("jwks", "rotate", "--use", tt.use)
			began := time.Now()
			var after jwks
			program.Eventually(t, "the new key is published", func() bool {
				after = jwksOf(t, tt.jwks, before.etag)
				return after.status == http.StatusOK
			})
			took := time.Since(began)
			t.Logf("the new key is published %v after the command", took.Round(time.Millisecond))
			if took > published || after.etag == before.etag || len(after.ids) != 2 || !slices.Contains(after.ids, signer) {
				t.Errorf("%+v %v after the command, want %s and a new key within %v", after, took, signer, published)
			}
			if id := keyIDOf(t, tt.sign()); id != signer {
				t.Errorf("%q signs before all caches know it", id)
			}

			states := keyStates(t, p, tt.use)
			if len(states) != 2 || states[signer] != "active" {
				t.Errorf("jwks list: %v, want %s active and another published", states, signer)
			}
			for id, state := range states {
				if id != signer && state != "published" {
					t.Errorf("the new key is %s", state)
				}
				refuses(t, p, "the key is in use", "jwks", "retire", "--use", tt.use, id)
			}
			refuses(t, p, "a rotation is under way", "jwks", "rotate", "--use", tt.use)
			if a := r.call(http.MethodGet, papyrus+"/v1/users/me", ""); a.Status != http.StatusOK {
				t.Errorf("an access token from before: %v", a)
			}
		})
	}
}

// jwks is an answer with keys.
type jwks struct {
	status int
	etag   string
	ids    []string
}

// jwksOf asks for keys, unless they are those of an entity tag.
func jwksOf(t *testing.T, url, etag string) jwks {
	t.Helper()
	header := []string{"If-None-Match", etag}
	if etag == "" {
		header = nil
	}
	a, err := client.Call(http.MethodGet, url, "", header...)
	if err != nil {
		t.Fatal(err)
	}
	out := jwks{status: a.Status, etag: a.Header.Get("ETag")}
	if a.Status == http.StatusNotModified && a.Body == "" {
		return out
	}
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := decode(a, &set); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	for _, key := range set.Keys {
		out.ids = append(out.ids, key.ID)
	}
	return out
}

// keyIDOf returns the id of the key that signed a token.
func keyIDOf(t *testing.T, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := parsed.Header["kid"].(string)
	return id
}

// keyStates returns the state of each key, by its id, as the command lists them.
func keyStates(t *testing.T, p *program.Process, use string) map[string]string {
	t.Helper()
	out := p.Run("jwks", "list", "--json", "--use", use)
	record.See("jwks list in "+t.Name(), out)
	var list []struct {
		KeyID string `json:"keyId"`
		State string `json:"state"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	states := map[string]string{}
	for _, key := range list {
		states[key.KeyID] = key.State
	}
	return states
}

// refuses runs the program in the place of p, and checks that it fails for the reason.
func refuses(t *testing.T, p *program.Process, reason string, args ...string) {
	t.Helper()
	out, err := p.Command(args...).CombinedOutput()
	record.See(strings.Join(args, " ")+" in "+t.Name(), string(out))
	if err == nil || !strings.Contains(string(out), reason) {
		t.Errorf("provisioner %s: %v, want an error that says %q:\n%s", strings.Join(args, " "), err, reason, out)
	}
}
