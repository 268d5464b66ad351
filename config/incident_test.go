package config

import (
	"maps"
	"strings"
	"testing"
)

// TestEmptySecretsStopTheStart is named after CVE-2026-41432, in which whoever signed with the empty secret was believed where none had
// been configured: no service starts without the secrets that it needs, and what is empty is none.
func TestEmptySecretsStopTheStart(t *testing.T) {
	postgres := map[string]string{
		"DATABASE_URL": "postgres://u@db/p", "SEAL_KEY": long, "REFRESH_TOKEN_KEY": long, "ACCESS_JWT_PRIVATE_KEY": newPEM(t),
		"PUBLIC_BASE_URL": "https://papyrus.example.com",
	}
	signing := senderEnv("SHARED_SECRET", "", "ACTIVE_KEY_ID", "k1", "SIGNING_KEYS", `{"k1":"`+long+`"}`)
	for _, tt := range []struct {
		name    string
		service Service
		env     map[string]string
		secret  string
		empty   []string // what does not count as a secret
	}{
		{"the sender's key", Sender, senderEnv(), "SHARED_SECRET", nil},
		{"the receiver's key", Receiver, senderEnv(), "SHARED_SECRET", nil},
		{"a key of a ring", Receiver, signing, "SIGNING_KEYS", []string{`{}`, `{"k1":""}`, `{"":"` + long + `"}`, `null`, `[]`}},
		{"the key of refresh tokens", Papyrus, postgres, "REFRESH_TOKEN_KEY", []string{"short"}},
		{"the key of access tokens", Papyrus, postgres, "ACCESS_JWT_PRIVATE_KEY", []string{"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"}},
		{"the key that seals", Papyrus, postgres, "SEAL_KEY", []string{"short"}},
		{"the secret of the client at the provider", Papyrus, with(postgres, "GOOGLE_OAUTH_CLIENT_ID", "id", "GOOGLE_OAUTH_CLIENT_SECRET", "secret"), "GOOGLE_OAUTH_CLIENT_SECRET", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(fixture{service: tt.service, env: tt.env}).mustLoad(t)
			for _, empty := range append(tt.empty, "") {
				env := with(tt.env, tt.secret, empty)
				_, _, err := Load(fixture{service: tt.service, env: env}.options(t))
				if err == nil || !strings.Contains(err.Error(), strings.Replace(tt.secret, "SHARED_SECRET", "SIGNING_KEYS", 1)) {
					t.Errorf("%q: %v, want a fault of %s", empty, err, tt.secret)
				}
			}
		})
	}
}

// with returns env with pairs of name and value set.
func with(env map[string]string, pairs ...string) map[string]string {
	env = maps.Clone(env)
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}
