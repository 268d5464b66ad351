package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/secret"
)

// origin says who makes up a secret, and so what may be asked of it.
type origin int

const (
	random origin = iota // the operator, at random
	given                // a provider or a server's administrator
	public               // a provider, for everybody to see
	paired               // a PEM file: a key pair
)

// held is a secret of an installation.
type held struct {
	setting string
	where   string // " (key 2 of 3, in the order of their ids)" or " (its password)"; ids stay untold, in case they are the secrets
	value   secret.Text
	origin  origin
}

func (h held) name() string { return h.setting + h.where }

// digest is what secrets are compared by.
func (h held) digest() [sha256.Size]byte {
	if block, _ := pem.Decode(h.value.Bytes()); block != nil {
		return sha256.Sum256(block.Bytes)
	}
	return sha256.Sum256([]byte(strings.TrimSpace(h.value.Reveal())))
}

// secretsOf returns the secrets that are set.
func secretsOf(c *config.Config) []held {
	all := append(signingKeysOf(c.Keyring),
		held{"SHARED_SECRET", "", c.Keyring.Shared, random},
		held{"SEAL_KEY", "", c.SealKey, random},
		held{"REFRESH_TOKEN_KEY", "", c.Tokens.RefreshKey, random},
		held{"ACCESS_JWT_PRIVATE_KEY", "", c.Tokens.AccessKey, paired},
		held{"POWERSYNC_JWT_PRIVATE_KEY", "", c.PowerSync.Key, paired},
		held{"SUPABASE_JWT_SECRET", "", c.Supabase.JWTSecret, random},
		held{"SUPABASE_ANON_KEY", "", c.Supabase.AnonKey, public},
		held{"SMTP_PASSWORD", "", c.SMTP.Password, given},
		held{"GOOGLE_OAUTH_CLIENT_SECRET", "", c.Provider.ClientSecret, given},
		held{"DATABASE_URL", " (its password)", passwordOf(c.Database.URL), given},
		held{"REDIS_URL", " (its password)", passwordOf(c.RedisURL), given},
	)
	return slices.DeleteFunc(all, func(h held) bool { return !h.value.IsSet() })
}

func signingKeysOf(k config.Keyring) []held {
	var keys []held
	for i, id := range slices.Sorted(maps.Keys(k.Keys)) {
		where := ""
		if len(k.Keys) > 1 {
			where = fmt.Sprintf(" (key %d of %d, in the order of their ids)", i+1, len(k.Keys))
		}
		keys = append(keys, held{"SIGNING_KEYS", where, k.Keys[id], random})
	}
	return keys
}

// authorityOf returns the part of a URL that names user, password and hosts, of which there may be several.
func authorityOf(u secret.Text) string {
	_, rest, _ := strings.Cut(u.Reveal(), "://")
	authority, _, _ := strings.Cut(rest, "/")
	authority, _, _ = strings.Cut(authority, "?")
	return authority
}

func passwordOf(u secret.Text) secret.Text {
	authority := authorityOf(u)
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return secret.Text{}
	}
	_, password, _ := strings.Cut(authority[:at], ":")
	if plain, err := url.PathUnescape(password); err == nil {
		password = plain
	}
	return secret.New(password)
}

const makeAnother = "make another: openssl rand -hex 32"

// weakSecrets finds what can be guessed. In development mode that is a warning.
func weakSecrets(_ context.Context, in *Installation) []Finding {
	bad := failure
	if in.Config.DevMode {
		bad = warning
	}
	var found []Finding
	for _, h := range secretsOf(in.Config) {
		if problem, remedy := weakness(h); problem != "" {
			found = append(found, bad(h.name(), problem, remedy))
		}
		if h.origin == given && h.setting != "GOOGLE_OAUTH_CLIENT_SECRET" && h.value.Len() < minPasswordBytes {
			found = append(found, warning(h.name(), fmt.Sprintf("has fewer than %d characters", minPasswordBytes),
				"give the server's user a longer one: openssl rand -hex 16"))
		}
	}
	return found
}

func weakness(h held) (problem, remedy string) {
	text := h.value.Reveal()
	switch {
	case h.origin == random && documented(text):
		return "is an example that everybody can read", makeAnother
	case h.origin == random && mentions(text, vague), h.origin != paired && h.origin != public && mentions(text, blanks):
		return "is a placeholder", "put the real one in its place; for a key of your own: openssl rand -hex 32"
	case h.origin == random && len(text) < minBytes:
		return fmt.Sprintf("has fewer than %d bytes", minBytes), makeAnother
	case h.origin == random && bits(text) < minBits:
		return "repeats itself or counts up: it can be guessed", makeAnother
	}
	return "", ""
}

// reusedSecrets finds one value in two settings: who learns it from one place has the other too.
func reusedSecrets(_ context.Context, in *Installation) []Finding {
	seen := map[[sha256.Size]byte]held{}
	var found []Finding
	for _, h := range secretsOf(in.Config) {
		first, twice := seen[h.digest()]
		if !twice {
			seen[h.digest()] = h
			continue
		}
		found = append(found, failure(h.name(), "is the same as "+first.name(), "make one of them anew: openssl rand -hex 32"))
	}
	return found
}

// sharedSecrets finds what two environments have in common: a request that one of them signed would be good in the other.
func sharedSecrets(_ context.Context, in *Installation) []Finding {
	var found []Finding
	for _, other := range in.Against {
		theirs := map[[sha256.Size]byte]held{}
		for _, h := range secretsOf(other.Config) {
			theirs[h.digest()] = h
		}
		for _, h := range secretsOf(in.Config) {
			if t, both := theirs[h.digest()]; both {
				found = append(found, h.shared(t, other.Name))
			}
		}
		found = append(found, sharedPlaces(in.Config, other)...)
	}
	return found
}

func (h held) shared(theirs held, environment string) Finding {
	problem := "is the same as " + theirs.name() + " of " + environment
	if h.origin == public || h.origin == given {
		return warning(h.name(), problem, "give each environment a project, a server and an account of its own")
	}
	return failure(h.name(), problem, "make another for one of the two: openssl rand -hex 32")
}

// sharedPlaces finds two environments with one database.
func sharedPlaces(c *config.Config, other Other) []Finding {
	var found []Finding
	for _, place := range []struct {
		setting     string
		ours, their secret.Text
	}{
		{"DATABASE_URL", c.Database.URL, other.Config.Database.URL},
		{"REDIS_URL", c.RedisURL, other.Config.RedisURL},
	} {
		if place.ours.IsSet() && place.ours.Reveal() == place.their.Reveal() {
			found = append(found, warning(place.setting, "is the same in "+other.Name, "give each environment a database of its own"))
		}
	}
	return found
}

// misplacedSecrets finds secrets that stand where others read them, and a key in the place of one with fewer rights.
func misplacedSecrets(_ context.Context, in *Installation) []Finding {
	var found []Finding
	for _, v := range in.Report.Values() {
		if v.Value == "configured" && strings.HasPrefix(v.Source, "wrangler.") {
			found = append(found, failure(v.Name, "is a secret in "+v.Source+", a file that is committed",
				"move it to .dev.vars or SECRETS_DIR (provisioner secret put "+v.Name+") and make it anew: the history keeps the old one"))
		}
	}
	if isServiceKey(in.Config.Supabase.AnonKey.Reveal()) {
		found = append(found, failure("SUPABASE_ANON_KEY", "is the project's service key, which no row-level security holds",
			"put the anon (publishable) key there, and make the service key anew if others have seen this one"))
	}
	return found
}

// isServiceKey reports whether a Supabase key is one that may do everything: an old one says so in its claims, a new one in its prefix.
func isServiceKey(key string) bool {
	if strings.HasPrefix(key, "sb_secret_") {
		return true
	}
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Role string `json:"role"`
	}
	return err == nil && json.Unmarshal(payload, &claims) == nil && claims.Role == "service_role"
}
