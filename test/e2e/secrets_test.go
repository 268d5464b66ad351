package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
)

// TestErrorsKeepSecrets goes every way that ends badly with a secret in hand, at the most talkative level. What was printed
// is looked through when the run has ended.
func TestErrorsKeepSecrets(t *testing.T) {
	s := program.Keyring("k1")
	in := install(t, s, direct, keepSignatures(t))
	sender, receiver, papyrus := in.sender.URL("sender"), in.receiver.URL("receiver"), in.papyrus.URL("papyrus")
	reader := signUp(t, sender)
	stranger := reader
	stranger.Password = record.NewSecret("wrong password")
	forger := reader
	forger.JWT = reader.JWT[:strings.LastIndex(reader.JWT, ".")+1] + rand.Text() + rand.Text()
	record.Keep("forged jwt", forger.JWT)
	token := keepToken(t, mustPost(t, sender+"/send", reader.KeyRequest("laptop")))
	anonKey := []string{"Apikey", in.sender.Env["SUPABASE_ANON_KEY"]}
	replayed := sign("k1", s.Key("k1"), reader.KeyRequest("laptop"))
	if a := replayed.mustPost(t, receiver); a.Status != http.StatusOK || a.Member("token") != token {
		t.Errorf("the same intent again: %v", a.Status)
	}
	idempotent := []string{"Idempotency-Key", "intent-of-the-reader"}
	if a := mustPost(t, sender+"/send", reader.KeyRequest("phone"), idempotent...); a.Status == http.StatusOK {
		keepToken(t, a)
	}

	bearer := func(token string) []string { return append([]string{"Authorization", "Bearer " + token}, anonKey...) }
	tests := []struct {
		name, url, body string
		header          []string
		status          int
	}{
		{"a second sign-up", sender + "/signup", reader.Credentials(), nil, 409},
		{"a wrong password", sender + "/signin", stranger.Credentials(), nil, 401},
		{"a weak password", sender + "/signup", fmt.Sprintf(`{"email":"x@example.com","password":%q}`, record.NewSecret("short")[:7]), nil, 400},
		{"credentials in broken JSON", sender + "/signin", reader.Credentials()[:len(reader.Credentials())-1], nil, 400},
		{"credentials in the URL", sender + "/signin/" + reader.Password + "?password=" + reader.Password, `{}`, nil, 404},
		{"credentials as a form", sender + "/signin", reader.Credentials(), []string{"Content-Type", "text/plain"}, 415},
		{"a forged JWT", sender + "/send", forger.KeyRequest("laptop"), nil, 401},
		{"an unknown tier", sender + "/send", strings.Replace(reader.KeyRequest("x"), `"new"`, `"none"`, 1), nil, 400},
		{"a tier above the plan", sender + "/send", strings.Replace(reader.KeyRequest("x"), `"new"`, `"pro"`, 1), nil, 403},
		{"another's user id", sender + "/send", strings.Replace(reader.KeyRequest("x"), `{`, `{"userId":"another",`, 1), nil, 403},
		{"an idempotency key used again", sender + "/send", reader.KeyRequest("desk"), idempotent, 422},
		{"a JWT in an unknown action", sender + "/send", fmt.Sprintf(`{"action":"unknown","jwt":%q}`, reader.JWT), nil, 400},
		{"a replay", receiver + "/inbox", replayed.Body, replayed.Header, 409},
		{"a changed body", receiver + "/inbox", forger.KeyRequest("laptop"), replayed.Header, 401},
		{"a wrong grant", papyrus + "/auth/v1/token?grant_type=password", stranger.Credentials(), anonKey, 400},
		{"a made-up refresh token", papyrus + "/auth/v1/token?grant_type=refresh_token", `{"refresh_token":"` + record.NewSecret("refresh token") + `"}`, anonKey, 400},
		{"a key for a forged JWT", papyrus + "/functions/v1/api-keys-create", `{"name":"x","tier":"new"}`, bearer(forger.JWT), 401},
		{"log out with an API key", papyrus + "/auth/v1/logout", ``, bearer(token), 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a := mustPost(t, tt.url, tt.body, tt.header...); a.Status != tt.status {
				t.Errorf("%v, want %d", a, tt.status)
			}
		})
	}
	t.Run("an unknown API key", func(t *testing.T) {
		unknown := token[:len(token)-8] + "00000000"
		record.Keep("unknown API key", unknown)
		if a := verifyKey(t, papyrus, unknown); a.Status == http.StatusOK {
			t.Errorf("%v", a)
		}
	})
}

// TestStartupErrorsKeepSecrets starts services with settings that are wrong.
func TestStartupErrorsKeepSecrets(t *testing.T) {
	password, key := record.NewSecret("database password"), record.NewSecret("signing secret")
	good := program.Keyring("k1").With(program.WithoutIdentity()).With(program.Settings{"SEAL_KEY": record.NewSecret("seal key")})
	tests := []struct {
		name    string
		wrong   program.Settings
		blaming string
	}{
		{"broken JSON", program.Settings{"SIGNING_KEYS": `{"k1":"` + key}, "SIGNING_KEYS"},
		{"a list of keys", program.Settings{"SIGNING_KEYS": `["` + key + `"]`}, "SIGNING_KEYS"},
		{"id and secret the wrong way round", program.Settings{"SIGNING_KEYS": `{"` + key + `":"k1"}`}, "SIGNING_KEYS"},
		{"an active id that is a secret", program.Settings{"ACTIVE_KEY_ID": "k2"}, "ACTIVE_KEY_ID"},
		{"a short seal key", program.Settings{"SEAL_KEY": key[:20]}, "SEAL_KEY"},
		{"a bad database URL", program.Settings{"DATABASE_URL": "postgres://postgres:" + password + "@127.0.0.1:port/db"}, "DATABASE_URL"},
		{"a database of another kind", program.Settings{"DATABASE_URL": "mysql://root:" + password + "@127.0.0.1/db"}, "DATABASE_URL"},
		{"a database that is not there", program.Settings{"DATABASE_URL": "postgres://postgres:" + password + "@127.0.0.1:1/db"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProcess(t, "receiver", good)
			p.Env = p.Env.With(tt.wrong)
			record.Keep("short seal key", key[:20])
			out, err := p.Command("serve", p.Service).CombinedOutput()
			record.See("a start with "+tt.name, string(out))
			if err == nil || !strings.Contains(string(out), tt.blaming) {
				t.Errorf("%v, want an error that names %q:\n%s", err, tt.blaming, out)
			}
		})
	}
}
