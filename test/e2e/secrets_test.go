package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestErrorsKeepSecrets goes every way that ends badly with a secret in hand, at the most talkative level. What was printed
// is looked through when the run has ended.
func TestErrorsKeepSecrets(t *testing.T) {
	s := keyring("k1")
	in := install(t, s, direct, keepSignatures(t))
	sender, receiver, papyrus := in.sender.url("sender"), in.receiver.url("receiver"), in.papyrus.url("papyrus")
	reader := signUp(t, sender)
	stranger := reader
	stranger.password = newSecret("wrong password")
	forger := reader
	forger.jwt = reader.jwt[:strings.LastIndex(reader.jwt, ".")+1] + rand.Text() + rand.Text()
	run.keep("forged jwt", forger.jwt)
	token := keepToken(t, mustPost(t, sender+"/send", reader.keyRequest("laptop")))
	anonKey := []string{"Apikey", in.sender.env["SUPABASE_ANON_KEY"]}
	replayed := sign("k1", s.key("k1"), reader.keyRequest("laptop"))
	if a := replayed.mustPost(t, receiver); a.status != http.StatusOK || a.member("token") != token {
		t.Errorf("the same intent again: %v", a.status)
	}
	idempotent := []string{"Idempotency-Key", "intent-of-the-reader"}
	if a := mustPost(t, sender+"/send", reader.keyRequest("phone"), idempotent...); a.status == http.StatusOK {
		keepToken(t, a)
	}

	bearer := func(token string) []string { return append([]string{"Authorization", "Bearer " + token}, anonKey...) }
	tests := []struct {
		name, url, body string
		header          []string
		status          int
	}{
		{"a second sign-up", sender + "/signup", reader.credentials(), nil, 409},
		{"a wrong password", sender + "/signin", stranger.credentials(), nil, 401},
		{"a weak password", sender + "/signup", fmt.Sprintf(`{"email":"x@example.com","password":%q}`, newSecret("short")[:7]), nil, 400},
		{"credentials in broken JSON", sender + "/signin", reader.credentials()[:len(reader.credentials())-1], nil, 400},
		{"credentials in the URL", sender + "/signin/" + reader.password + "?password=" + reader.password, `{}`, nil, 404},
		{"credentials as a form", sender + "/signin", reader.credentials(), []string{"Content-Type", "text/plain"}, 415},
		{"a forged JWT", sender + "/send", forger.keyRequest("laptop"), nil, 401},
		{"an unknown tier", sender + "/send", strings.Replace(reader.keyRequest("x"), `"new"`, `"none"`, 1), nil, 400},
		{"a tier above the plan", sender + "/send", strings.Replace(reader.keyRequest("x"), `"new"`, `"pro"`, 1), nil, 403},
		{"another's user id", sender + "/send", strings.Replace(reader.keyRequest("x"), `{`, `{"userId":"another",`, 1), nil, 403},
		{"an idempotency key used again", sender + "/send", reader.keyRequest("desk"), idempotent, 422},
		{"a JWT in an unknown action", sender + "/send", fmt.Sprintf(`{"action":"unknown","jwt":%q}`, reader.jwt), nil, 400},
		{"a replay", receiver + "/inbox", replayed.body, replayed.header, 409},
		{"a changed body", receiver + "/inbox", forger.keyRequest("laptop"), replayed.header, 401},
		{"a wrong grant", papyrus + "/auth/v1/token?grant_type=password", stranger.credentials(), anonKey, 400},
		{"a made-up refresh token", papyrus + "/auth/v1/token?grant_type=refresh_token", `{"refresh_token":"` + newSecret("refresh token") + `"}`, anonKey, 400},
		{"a key for a forged JWT", papyrus + "/functions/v1/api-keys-create", `{"name":"x","tier":"new"}`, bearer(forger.jwt), 401},
		{"log out with an API key", papyrus + "/auth/v1/logout", ``, bearer(token), 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a := mustPost(t, tt.url, tt.body, tt.header...); a.status != tt.status {
				t.Errorf("%v, want %d", a, tt.status)
			}
		})
	}
	t.Run("an unknown API key", func(t *testing.T) {
		unknown := token[:len(token)-8] + "00000000"
		run.keep("unknown API key", unknown)
		if a := verifyKey(t, papyrus, unknown); a.status == http.StatusOK {
			t.Errorf("%v", a)
		}
	})
}

// TestStartupErrorsKeepSecrets starts services with settings that are wrong.
func TestStartupErrorsKeepSecrets(t *testing.T) {
	password, key := newSecret("database password"), newSecret("signing secret")
	good := keyring("k1").with(withoutIdentity()).with(settings{"SEAL_KEY": newSecret("seal key")})
	tests := []struct {
		name    string
		wrong   settings
		blaming string
	}{
		{"broken JSON", settings{"SIGNING_KEYS": `{"k1":"` + key}, "SIGNING_KEYS"},
		{"a list of keys", settings{"SIGNING_KEYS": `["` + key + `"]`}, "SIGNING_KEYS"},
		{"id and secret the wrong way round", settings{"SIGNING_KEYS": `{"` + key + `":"k1"}`}, "SIGNING_KEYS"},
		{"an active id that is a secret", settings{"ACTIVE_KEY_ID": "k2"}, "ACTIVE_KEY_ID"},
		{"a short seal key", settings{"SEAL_KEY": key[:20]}, "SEAL_KEY"},
		{"a bad database URL", settings{"DATABASE_URL": "postgres://postgres:" + password + "@127.0.0.1:port/db"}, "DATABASE_URL"},
		{"a database of another kind", settings{"DATABASE_URL": "mysql://root:" + password + "@127.0.0.1/db"}, "DATABASE_URL"},
		{"a database that is not there", settings{"DATABASE_URL": "postgres://postgres:" + password + "@127.0.0.1:1/db"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProcess(t, "receiver", good)
			p.env = p.env.with(tt.wrong)
			run.keep("short seal key", key[:20])
			out, err := command(t, p.dir, p.env, "serve", p.service).CombinedOutput()
			run.see("a start with "+tt.name, string(out))
			if err == nil || !strings.Contains(string(out), tt.blaming) {
				t.Errorf("%v, want an error that names %q:\n%s", err, tt.blaming, out)
			}
		})
	}
}
