package program

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"

	"github.com/provisioner/provisioner/test/record"
)

// Settings are environment variables of the program.
type Settings map[string]string

// With returns s with changes, of which the empty ones are not set.
func (s Settings) With(changes Settings) Settings {
	all := maps.Clone(s)
	if all == nil {
		all = Settings{}
	}
	maps.Copy(all, changes)
	return all
}

// Environ returns s as an environment, with nothing of the test's own but what programs need.
func (s Settings) Environ() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if s[name] != "" {
			env = append(env, name+"="+s[name])
		}
	}
	return env
}

// keepSecrets puts what is secret in s on the record.
func (s Settings) keepSecrets() {
	for _, name := range []string{"SHARED_SECRET", "SEAL_KEY", "REFRESH_TOKEN_KEY", "ACCESS_JWT_PRIVATE_KEY", "SUPABASE_ANON_KEY"} {
		if s[name] != "" {
			record.Keep(name, s[name])
		}
	}
	var keys map[string]string
	if json.Unmarshal([]byte(s["SIGNING_KEYS"]), &keys) == nil {
		for _, key := range keys {
			record.Keep("signing secret", key)
		}
	}
	for _, name := range []string{"DATABASE_URL", "REDIS_URL"} {
		u, err := url.Parse(s[name])
		if err != nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			record.Keep(name+" password", password)
		}
	}
}

// Keyring returns the settings of a ring with the ids, each under a new secret, that signs with the first.
func Keyring(ids ...string) Settings {
	keys := map[string]string{}
	for _, id := range ids {
		keys[id] = record.NewSecret("signing secret")
	}
	text, _ := json.Marshal(keys) // texts always can be
	return Settings{"SIGNING_KEYS": string(text), "ACTIVE_KEY_ID": ids[0]}
}

// Key returns the secret of a key in the ring, "" for an unknown one.
func (s Settings) Key(id string) string {
	var keys map[string]string
	if json.Unmarshal([]byte(s["SIGNING_KEYS"]), &keys) != nil {
		return ""
	}
	return keys[id]
}

// Nowhere is an address that refuses connections: port 1 is nobody's.
const Nowhere = "http://127.0.0.1:1"

// WithoutIdentity are settings for services that never ask an identity provider.
func WithoutIdentity() Settings {
	return Settings{"SUPABASE_URL": Nowhere, "SUPABASE_ANON_KEY": record.NewSecret("anon key")}
}
