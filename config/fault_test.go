package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/token"
)

// newPEM returns a fresh P-256 private key.
func newPEM(t *testing.T) string {
	t.Helper()
	return pemOf(t, elliptic.P256())
}

func pemOf(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// newRSA returns a private key for PowerSync tokens and its public half.
func newRSA(t *testing.T) (private, public string) {
	t.Helper()
	made, err := token.NewKey(token.PowerSync)
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.ParseKey(token.PowerSync, "", made)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	return made.Reveal(), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func newFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hush is in every value of a test that must not show in a fault.
const hush = "hunter2"

func TestFaults(t *testing.T) {
	keys := func(v string) map[string]string {
		return senderEnv("SHARED_SECRET", "", "ACTIVE_KEY_ID", "k1", "SIGNING_KEYS", v)
	}
	all := func(pairs ...string) map[string]string {
		env := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			env[pairs[i]] = pairs[i+1]
		}
		return env
	}
	postgres := "postgres://u:" + hush + "@db/p"
	tests := []struct {
		name    string
		service Service
		env     map[string]string
		want    string // setting and problem
	}{
		{"no receiver", Sender, senderEnv("RECEIVER_WORKER_URL", ""), "RECEIVER_WORKER_URL is not set: the receiver's base URL (--receiver-url)"},
		{"no identity provider for the sender", Sender, senderEnv("SUPABASE_URL", ""), "SUPABASE_URL is not set: "},
		{"no identity provider for the receiver", Receiver, senderEnv("SUPABASE_URL", ""), "SUPABASE_URL is not set: "},
		{"no anon key", Receiver, senderEnv("SUPABASE_ANON_KEY", ""), "SUPABASE_ANON_KEY is not set: "},
		{"neither form of signing key", Receiver, senderEnv("SHARED_SECRET", ""), "SIGNING_KEYS is not set: "},
		{"no boolean", All, all("DEV_MODE", hush), "DEV_MODE is neither true nor false (environment): "},
		{"unknown log format", All, all("LOG_FORMAT", hush), "LOG_FORMAT is none of auto, text, json"},
		{"unknown log level", All, all("LOG_LEVEL", hush), "LOG_LEVEL is none of debug, info, warn, error"},
		{"no duration", All, all("FORWARD_TIMEOUT", hush), "FORWARD_TIMEOUT is not a duration"},
		{"a number without unit", All, all("FORWARD_TIMEOUT", "8"), "FORWARD_TIMEOUT is not a duration"},
		{"a time-out of nothing", All, all("FORWARD_TIMEOUT", "0s"), "FORWARD_TIMEOUT is less than 1ms"},
		{"negative drain", All, all("DRAIN_DELAY", "-1s"), "DRAIN_DELAY is less than 0s"},
		{"an address without port", All, all("SENDER_ADDR", "localhost"), "SENDER_ADDR is not host:port"},
		{"an address with a bad port", All, all("ADMIN_ADDR", "localhost:70000"), "ADMIN_ADDR has a port"},
		{"an address with a bad host", All, all("PAPYRUS_ADDR", "a b:80"), "PAPYRUS_ADDR has a host"},
		{"a collector that is no URL", All, all("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), "OTEL_EXPORTER_OTLP_ENDPOINT is not"},
		{"a header without value", All, all("OTEL_EXPORTER_OTLP_HEADERS", hush), "OTEL_EXPORTER_OTLP_HEADERS is not of the form"},
		{"a header with a line break", All, all("OTEL_EXPORTER_OTLP_HEADERS", "a="+hush+"%0d%0ab"), "OTEL_EXPORTER_OTLP_HEADERS is not of the form"},
		{"a ratio above all", All, all("OTEL_TRACES_SAMPLER_ARG", "1.1"), "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1"},
		{"a ratio that is no number", All, all("OTEL_TRACES_SAMPLER_ARG", "NaN"), "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1"},
		{"a DSN without key", All, all("SENTRY_DSN", "https://sentry.example.com/"+hush), "SENTRY_DSN is not of the form"},
		{"window of nothing", All, all("REPLAY_WINDOW_MS", "0"), "REPLAY_WINDOW_MS is not a whole number from 1 to 86400000"},
		{"window with unit", All, all("REPLAY_WINDOW_MS", "5m"), "REPLAY_WINDOW_MS is not a whole number"},
		{"body limit too large", All, all("BODY_LIMIT", "99999999999"), "BODY_LIMIT is not a whole number from 1 to 67108864"},
		{"rate without period", All, all("RATE_LIMIT_AUTH", "100"), "RATE_LIMIT_AUTH is not a rate"},
		{"rate of nothing", All, all("RATE_LIMIT_SEND", "0/1m"), "RATE_LIMIT_SEND is not a rate"},
		{"any origin", All, all("ALLOWED_ORIGINS_JSON", `["*"]`), "ALLOWED_ORIGINS_JSON has an origin (number 1) that is *"},
		{"wildcard of a top-level domain", All, all("CORS_ORIGINS", "https://*.com"), "CORS_ORIGINS has an origin (number 1) that has a wildcard over a whole top-level domain"},
		{"wildcard inside", All, all("CORS_ORIGINS", "https://a.*.example.com"), "CORS_ORIGINS has an origin (number 1) that has a * elsewhere"},
		{"wildcard of part of a label", All, all("CORS_ORIGINS", "https://app*.example.com"), "CORS_ORIGINS has an origin (number 1) that has a * elsewhere"},
		{"origin with path", All, all("CORS_ORIGINS", "https://example.com/"), "CORS_ORIGINS has an origin (number 1) that holds more than"},
		{"origin with user", All, all("CORS_ORIGINS", "https://u:"+hush+"@example.com"), "CORS_ORIGINS has an origin (number 1) that holds more than"},
		{"origin of an app scheme", All, all("CORS_ORIGINS", "https://example.com,papyrus://x"), "CORS_ORIGINS has an origin (number 2) that is not scheme://host"},
		{"origins of another JSON", All, all("CORS_ORIGINS", "[1]"), "CORS_ORIGINS is neither a JSON array"},
		{"bad proxy", All, all("TRUSTED_PROXIES", "10.0.0.0/8,"+hush), "TRUSTED_PROXIES has an entry (number 2)"},
		{"tiers of another JSON", All, all("TIERS", `{"`+hush+`":1}`), "TIERS is not a JSON array"},
		{"no tier", All, all("TIERS", `[]`), "TIERS has no tier"},
		{"tier without name", All, all("TIERS", `[{"keys":1,"per_minute":1}]`), "TIERS has a tier (number 1) without a name"},
		{"two tiers of one name", All, all("TIERS", `[{"name":"a","keys":1,"per_minute":1},{"name":"a","keys":1,"per_minute":1}]`), "TIERS has two tiers of one name"},
		{"tier of no keys", All, all("TIERS", `[{"name":"a","keys":0,"per_minute":1}]`), "TIERS has a tier (number 1) whose keys"},
		{"tier with unknown member", All, all("TIERS", `[{"name":"a","keys":1,"per_minute":1,"x":1}]`), "TIERS is not a JSON array"},
		{"key prefix with dash", All, all("API_KEY_PREFIX", "ob-tk"), "API_KEY_PREFIX is not 1 to 16"},
		{"key prefix too long", All, all("API_KEY_PREFIX", strings.Repeat("a", 17)), "API_KEY_PREFIX is not 1 to 16"},
		{"refresh tokens for two years", All, all("REFRESH_TOKEN_EXPIRE_DAYS", "730"), "REFRESH_TOKEN_EXPIRE_DAYS is not a whole number from 1 to 365"},
		{"unknown password profile", All, all("PASSWORD_PROFILE", "nist"), "PASSWORD_PROFILE is none of default, nist-800-63b-4"},
		{"unknown JWT validation", All, all("JWT_VALIDATION", "none"), "JWT_VALIDATION is none of remote, local"},
		{"unknown database", All, all("DATABASE_URL", "mysql://u:"+hush+"@h"), "DATABASE_URL begins with none of"},
		{"SQLite without file", All, all("DATABASE_URL", "sqlite:"), "DATABASE_URL names no SQLite file"},
		{"Postgres with a password that is not escaped", All, all("DATABASE_URL", "postgres://u:"+hush+"%zz@h/d"), "DATABASE_URL is not a Postgres URL"},
		{"Redis by http", All, all("REDIS_URL", "http://:"+hush+"@r"), "REDIS_URL is not of the form"},
		{"Redis of no URL", All, all("REDIS_URL", "redis://:"+hush+"%zz@r"), "REDIS_URL is not a URL"},
		{"short seal key", All, all("SEAL_KEY", hush), "SEAL_KEY has fewer than 32 bytes"},
		{"short refresh key", All, all("REFRESH_TOKEN_KEY", hush), "REFRESH_TOKEN_KEY has fewer than 32 bytes"},
		{"access key that is not PEM", All, all("ACCESS_JWT_PRIVATE_KEY", hush), "ACCESS_JWT_PRIVATE_KEY is not PEM"},
		{"access key of another curve", All, all("ACCESS_JWT_PRIVATE_KEY", pemOf(t, elliptic.P384())), "ACCESS_JWT_PRIVATE_KEY is not a key of the curve P-256"},
		{"access key file of junk", All, all("ACCESS_JWT_PRIVATE_KEY_FILE", newFile(t, hush)), "ACCESS_JWT_PRIVATE_KEY_FILE names a file that is not PEM"},
		{"access key file missing", All, all("ACCESS_JWT_PRIVATE_KEY_FILE", "none.pem"), "ACCESS_JWT_PRIVATE_KEY_FILE cannot be read: no such file"},
		{"secrets directory missing", All, all("SECRETS_DIR", "none"), "SECRETS_DIR cannot be read: no such file"},
		{"PowerSync Service beside SQLite", All, all("POWERSYNC_SERVICE_URL", "https://ps.example.com"), "POWERSYNC_SERVICE_URL names a PowerSync Service, which cannot replicate from SQLite"},
		{"a prefix without slash", All, all("API_PREFIX", "v1"), "API_PREFIX is not a path such as /v1"},
		{"a prefix over the Supabase API", All, all("API_PREFIX", "/auth/v1"), "API_PREFIX begins with /auth or /functions"},
		{"hashes cheaper than OWASP's", All, all("PASSWORD_HASH_MEMORY", "4096"), "PASSWORD_HASH_MEMORY is not a whole number from 19456"},
		{"a mail server without sender", All, all("SMTP_HOST", "h", "APP_PUBLIC_BASE_URL", "https://a.example.com"), "SMTP_FROM_EMAIL is not set"},
		{"a mail server without app", All, all("SMTP_HOST", "h", "SMTP_FROM_EMAIL", "p@example.com"), "APP_PUBLIC_BASE_URL is not set"},
		{"a mail password without user", All, all("SMTP_HOST", "h", "SMTP_PASSWORD", hush), "SMTP_USERNAME is not set"},
		{"a mail user without password", All, all("SMTP_HOST", "h", "SMTP_USERNAME", "u"), "SMTP_PASSWORD is not set"},
		{"unknown protection of mail", All, all("SMTP_TLS", "maybe"), "SMTP_TLS is none of starttls, tls, none"},
		{"a provider's client without secret", All, all("GOOGLE_OAUTH_CLIENT_ID", "id"), "GOOGLE_OAUTH_CLIENT_SECRET is not set"},
		{"a provider's secret without client", All, all("GOOGLE_OAUTH_CLIENT_SECRET", hush), "GOOGLE_OAUTH_CLIENT_ID is not set"},
		{"sign-in with a provider over plain http", All, all("GOOGLE_OAUTH_CLIENT_ID", "id", "GOOGLE_OAUTH_CLIENT_SECRET", hush, "PUBLIC_BASE_URL", "http://p.example.com"), "PUBLIC_BASE_URL is plain http"},
		{"a provider over plain http", All, all("GOOGLE_OAUTH_CLIENT_ID", "id", "GOOGLE_OAUTH_CLIENT_SECRET", hush, "OIDC_ISSUER", "http://op.example.com"), "OIDC_ISSUER is plain http"},
		{"PowerSync key that is not RSA", All, all("POWERSYNC_JWT_PRIVATE_KEY", newPEM(t)), "POWERSYNC_JWT_PRIVATE_KEY is no RSA private key"},
		{"PowerSync key file of junk", All, all("POWERSYNC_JWT_PRIVATE_KEY_FILE", newFile(t, hush)), "POWERSYNC_JWT_PRIVATE_KEY_FILE names a file that is no RSA private key"},
		{"previous PowerSync key of junk", All, all("POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY", hush), "POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY is no RSA public key"},
		{"Postgres without seal key", Receiver, senderEnv("DATABASE_URL", postgres), "SEAL_KEY is not set, which Postgres requires"},
		{"Postgres without refresh key", All, all("DATABASE_URL", postgres, "SEAL_KEY", long, "ACCESS_JWT_PRIVATE_KEY", newPEM(t)), "REFRESH_TOKEN_KEY is not set, which Postgres requires"},
		{"Postgres without access key", Papyrus, all("DATABASE_URL", postgres, "SEAL_KEY", long, "REFRESH_TOKEN_KEY", long), "ACCESS_JWT_PRIVATE_KEY is not set, which Postgres requires"},
		{"receiver by plain http", Sender, senderEnv("RECEIVER_WORKER_URL", "http://receiver.example.com"), "RECEIVER_WORKER_URL is plain http"},
		{"receiver by http on an address", Sender, senderEnv("RECEIVER_WORKER_URL", "http://10.0.0.1"), "RECEIVER_WORKER_URL is plain http"},
		{"receiver with password", Sender, senderEnv("RECEIVER_WORKER_URL", "https://u:"+hush+"@r"), "RECEIVER_WORKER_URL holds a user name or password"},
		{"receiver with query", Sender, senderEnv("RECEIVER_WORKER_URL", "https://r/?x"), "RECEIVER_WORKER_URL has a query"},
		{"receiver with fragment", Sender, senderEnv("RECEIVER_WORKER_URL", "https://r/#"), "RECEIVER_WORKER_URL has a query or fragment"},
		{"receiver of another scheme", Sender, senderEnv("RECEIVER_WORKER_URL", "ftp://r"), "RECEIVER_WORKER_URL is not an http or https URL"},
		{"receiver without host", Sender, senderEnv("RECEIVER_WORKER_URL", "https://"), "RECEIVER_WORKER_URL is not an http or https URL"},
		{"keys in an array", Sender, keys(`["` + hush + `"]`), "SIGNING_KEYS is not a JSON object"},
		{"keys as a number", Sender, keys(`7`), "SIGNING_KEYS is not a JSON object"},
		{"keys in bad JSON", Sender, keys(`{"k1":"` + hush), "SIGNING_KEYS is not a JSON object"},
		{"keys and more", Sender, keys(`{"k1":"` + long + `"} {}`), "SIGNING_KEYS is not a JSON object"},
		{"no key", Sender, keys(`{}`), "SIGNING_KEYS has no key"},
		{"secret as a number", Sender, keys(`{"k1":5}`), "SIGNING_KEYS has a secret that is not a string"},
		{"empty secret", Sender, keys(`{"k1":""}`), "SIGNING_KEYS has an empty secret"},
		{"one id twice", Sender, keys(`{"k1":"` + long + `","k1":"` + long + `"}`), "SIGNING_KEYS has one key id twice"},
		{"empty id", Sender, keys(`{"":"` + long + `"}`), "SIGNING_KEYS has a key id that is not"},
		{"id with line break", Sender, keys(`{"a\nb":"` + long + `"}`), "SIGNING_KEYS has a key id that is not"},
		{"short secret", Sender, keys(`{"k1":"` + hush + `"}`), "SIGNING_KEYS has a secret of fewer than 32 bytes"},
		{"id and secret mixed up", Sender, keys(`{"` + hush + `":"k1"}`), "SIGNING_KEYS has a secret of fewer than 32 bytes"},
		{"short shared secret", Sender, senderEnv("SHARED_SECRET", hush), "SHARED_SECRET has a secret of fewer than 32 bytes"},
		{"active id unknown", Sender, keys(`{"k2":"` + long + `"}`), "ACTIVE_KEY_ID is not in SIGNING_KEYS"},
		{"no active id", Sender, senderEnv("SHARED_SECRET", "", "SIGNING_KEYS", `{"k2":"`+long+`"}`), "ACTIVE_KEY_ID is not set: "},
		{"rotation dates of another form", All, all("KEY_ROTATION_DATES", `{"k1":"`+hush+`"}`), "KEY_ROTATION_DATES has a date that is not of the form"},
		{"rotation dates of another JSON", All, all("KEY_ROTATION_DATES", `[]`), "KEY_ROTATION_DATES is not a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := Load(fixture{service: tt.service, env: tt.env}.options(t))
			if c != nil || err == nil {
				t.Fatal("Load() found nothing")
			}
			if !strings.Contains("\n"+err.Error(), "\n"+tt.want) {
				t.Errorf("Load() = %v\nwant a line that begins with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), hush) {
				t.Errorf("a value shows: %v", err)
			}
		})
	}
}

func TestTwoFormsOfOneKeyAreRefused(t *testing.T) {
	key := newPEM(t)
	_, _, err := Load(fixture{service: All, env: map[string]string{
		"ACCESS_JWT_PRIVATE_KEY": key, "ACCESS_JWT_PRIVATE_KEY_FILE": newFile(t, key),
	}}.options(t))
	if err == nil || !strings.Contains(err.Error(), "is set beside ACCESS_JWT_PRIVATE_KEY") {
		t.Errorf("Load() = %v", err)
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	_, r, err := Load(fixture{service: Sender, env: map[string]string{"LOG_LEVEL": "loud", "SENDER_ADDR": "x", "SHARED_SECRET": hush}}.options(t))
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Load() = %v, want Faults", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.Setting)
		if f.Problem == "" || f.Remedy == "" {
			t.Errorf("%+v lacks a text", f)
		}
	}
	want := []string{"LOG_LEVEL", "SENDER_ADDR", "RECEIVER_WORKER_URL", "SUPABASE_URL", "SUPABASE_ANON_KEY", "SHARED_SECRET"}
	if !slices.Equal(got, want) {
		t.Errorf("faults of %v, want %v", got, want)
	}
	if v := value(r, "LOG_LEVEL"); v.Value != "(invalid)" {
		t.Errorf("LOG_LEVEL shows as %q", v.Value)
	}
}

func TestWhatIsAccepted(t *testing.T) {
	tests := []struct {
		name    string
		service Service
		env     map[string]string
	}{
		{"receiver on loopback by http", Sender, senderEnv("RECEIVER_WORKER_URL", "http://127.0.0.1:8788")},
		{"receiver on IPv6 loopback", Sender, senderEnv("RECEIVER_WORKER_URL", "http://[::1]:8788")},
		{"receiver of one label", Sender, senderEnv("RECEIVER_WORKER_URL", "http://receiver:8788")},
		{"receiver as a Kubernetes service", Sender, senderEnv("RECEIVER_WORKER_URL", "http://receiver.prod.svc")},
		{"receiver as a full Kubernetes service", Sender, senderEnv("RECEIVER_WORKER_URL", "http://receiver.prod.svc.cluster.local")},
		{"receiver by http where allowed", Sender, senderEnv("RECEIVER_WORKER_URL", "http://r.example.com", "ALLOW_INSECURE_RECEIVER", "true")},
		{"short secret in development", Sender, senderEnv("SHARED_SECRET", "x", "DEV_MODE", "true")},
		{"receiver without active id", Receiver, senderEnv("SHARED_SECRET", "", "SIGNING_KEYS", `{"k1":"`+long+`"}`)},
		{"several Postgres hosts", Receiver, senderEnv("DATABASE_URL", "postgres://u:p@a:5432,b:5432/d", "SEAL_KEY", long)},
		{"Redis by socket", Sender, senderEnv("REDIS_URL", "unix:///run/redis.sock")},
		{"a fault of a setting that the service does not use", Sender, senderEnv("TIERS", "junk")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fixture{service: tt.service, env: tt.env}.mustLoad(t)
		})
	}
}

func TestWarnings(t *testing.T) {
	ring := `{"k1":"` + long + `"}`
	tests := []struct {
		name    string
		service Service
		env     map[string]string
		want    string
	}{
		{"both forms of signing key", Sender, senderEnv("SIGNING_KEYS", ring, "ACTIVE_KEY_ID", "k1"), "SHARED_SECRET is ignored"},
		{"active id without ring", Sender, senderEnv("ACTIVE_KEY_ID", "k1"), "ACTIVE_KEY_ID has no effect"},
		{"old key", Receiver, senderEnv("SHARED_SECRET", "", "SIGNING_KEYS", ring, "KEY_ROTATION_DATES", `{"k1":"2026-03-02"}`), `KEY_ROTATION_DATES says that key "k1" is 91 days old`},
		{"date of an unknown key", Receiver, senderEnv("KEY_ROTATION_DATES", `{"k9":"2026-05-30"}`), `KEY_ROTATION_DATES names the key "k9"`},
		{"origin by http", Sender, senderEnv("ALLOWED_ORIGINS_JSON", "http://app.example.com,http://x.localhost"), "ALLOWED_ORIGINS_JSON allows http://app.example.com"},
		{"id of no PowerSync key", All, map[string]string{"POWERSYNC_JWT_KEY_ID": "k1"}, "POWERSYNC_JWT_KEY_ID has no effect"},
		{"id of no previous PowerSync key", All, map[string]string{"POWERSYNC_JWT_PREVIOUS_KEY_ID": "k1"}, "POWERSYNC_JWT_PREVIOUS_KEY_ID has no effect"},
		{"budget of less than a hash", All, map[string]string{"PASSWORD_HASH_MEMORY": "65536", "PASSWORD_MEMORY_BUDGET": "20000"}, "PASSWORD_MEMORY_BUDGET is less than one hash takes"},
		{"streams that take every connection", All, map[string]string{"MAX_CONNECTIONS": "5000"}, "MAX_CONNECTIONS is no more than SYNC_MAX_STREAMS"},
		{"receiver under serve all", All, map[string]string{"RECEIVER_WORKER_URL": "https://r"}, "RECEIVER_WORKER_URL is ignored"},
		{"Supabase under serve all", All, map[string]string{"SUPABASE_URL": "https://s"}, "SUPABASE_URL is ignored"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r := fixture{service: tt.service, env: tt.env}.mustLoad(t)
			if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0].Error(), tt.want) {
				t.Errorf("warnings = %v, want one: %s", r.Warnings, tt.want)
			}
			if len(c.Keyring.Keys) > 0 && c.Keyring.Single() {
				t.Error("both forms of signing key are in the ring")
			}
		})
	}
	t.Run("key of 90 days", func(t *testing.T) {
		_, r := fixture{service: Receiver, env: senderEnv("SHARED_SECRET", "", "SIGNING_KEYS", ring, "KEY_ROTATION_DATES", `{"k1":"2026-03-03"}`)}.mustLoad(t)
		if len(r.Warnings) != 0 {
			t.Errorf("warnings = %v, want none", r.Warnings)
		}
	})
}

func TestUnknownNames(t *testing.T) {
	tests := []struct {
		name, text string
		fault      string // "" for a warning
	}{
		{"of another Worker", "GREETING=hi", ""},
		{"one letter more", "SENDER_ADDRR=x", "SENDER_ADDRR is no setting (.dev.vars): is SENDER_ADDR meant?"},
		{"two letters off", "SUPBASE_URI=x", "SUPBASE_URI is no setting (.dev.vars): is SUPABASE_URL meant?"},
		{"three letters off", "SUBASE_URI=x", ""},
		{"lower case", "log_level=x", "log_level is no setting (.dev.vars): is LOG_LEVEL meant?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, r, err := Load(fixture{service: All, files: map[string]string{".dev.vars": tt.text}}.options(t))
			switch {
			case tt.fault == "" && (err != nil || len(r.Warnings) != 1):
				t.Errorf("Load() = %v, warnings %v; want one warning", err, r.Warnings)
			case tt.fault != "" && (err == nil || err.Error() != tt.fault):
				t.Errorf("Load() = %v, want %s", err, tt.fault)
			}
		})
	}
	t.Run("in the environment", func(t *testing.T) {
		_, r := fixture{service: All, env: map[string]string{"SENDER_ADDRR": "x"}}.mustLoad(t)
		if len(r.Warnings) != 0 {
			t.Errorf("warnings = %v, want none", r.Warnings)
		}
	})
}

func TestFlags(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range settings {
		if name := row.flagName(); seen[name] && name != "" {
			t.Errorf("two settings share the flag --%s", name)
		} else if row.secret && name != "" {
			t.Errorf("%s is secret and has the flag --%s", row.name, name)
		}
		seen[row.flagName()] = true
	}
	c, r := fixture{service: Sender, env: senderEnv(), args: []string{"--dev", "--receiver-url", "https://other.example.com"}}.mustLoad(t)
	if !c.DevMode || c.Forward.URL.Host != "other.example.com" {
		t.Errorf("dev %v, receiver %s", c.DevMode, c.Forward.URL)
	}
	want := map[string]string{"DEV_MODE": "flag --dev", "RECEIVER_WORKER_URL": "flag --receiver-url"}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got := value(r, name).Source; got != want[name] {
			t.Errorf("%s comes from %q, want %q", name, got, want[name])
		}
	}
}
