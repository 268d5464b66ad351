package config

import (
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/provisioner/provisioner/pkg/secret"
)

// long is 32 bytes, the least that a secret may have.
const long = "0123456789abcdef0123456789abcdef"

// byValue compares secrets and networks, whose fields cmp does not see.
var byValue = cmp.Options{
	cmp.Comparer(func(a, b secret.Text) bool { return a.Reveal() == b.Reveal() }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// fixture is what a test loads from: files by name, the environment, arguments.
type fixture struct {
	service Service
	files   map[string]string
	env     map[string]string
	args    []string
}

// options writes the files into a directory of the test and returns what to load with.
func (f fixture) options(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f.files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	BindFileFlags(flags)
	BindFlags(flags, f.service)
	if err := flags.Parse(f.args); err != nil {
		t.Fatal(err)
	}
	return Options{
		Service: f.service, Flags: flags, Dir: dir,
		LookupEnv: func(name string) (string, bool) { v, ok := f.env[name]; return v, ok },
		Now:       func() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) },
	}
}

// mustLoad loads and fails the test on any fault.
func (f fixture) mustLoad(t *testing.T) (*Config, *Report) {
	t.Helper()
	c, r, err := Load(f.options(t))
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	return c, r
}

// senderEnv is the least that a sender starts with, changed by pairs of name and value.
func senderEnv(pairs ...string) map[string]string {
	env := map[string]string{
		"SHARED_SECRET": long, "RECEIVER_WORKER_URL": "https://receiver.example.com",
		"SUPABASE_URL": "https://project.supabase.co", "SUPABASE_ANON_KEY": "anon",
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// mustURL parses a URL that the test itself wrote.
func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEverySettingReachesItsField(t *testing.T) {
	key, mounted := newPEM(t), t.TempDir()
	private, public := newRSA(t)
	rows := []struct {
		setting, text string
		service       Service
		field         func(*Config) any
		want          any
	}{
		{"DEV_MODE", "true", All, func(c *Config) any { return c.DevMode }, true},
		{"LOG_FORMAT", "json", All, func(c *Config) any { return c.Log.Format }, LogJSON},
		{"LOG_LEVEL", "warn", All, func(c *Config) any { return c.Log.Level }, slog.LevelWarn},
		{"DRAIN_DELAY", "3s", All, func(c *Config) any { return c.DrainDelay }, 3 * time.Second},
		{"DATA_DIR", "/var/lib/p", All, func(c *Config) any { return c.DataDir }, "/var/lib/p"},
		{"SECRETS_DIR", mounted, Sender, func(c *Config) any { return c.SecretsDir }, mounted},
		{"SENDER_ADDR", ":1", All, func(c *Config) any { return c.Addr.Sender }, ":1"},
		{"RECEIVER_ADDR", "[::1]:2", All, func(c *Config) any { return c.Addr.Receiver }, "[::1]:2"},
		{"PAPYRUS_ADDR", "0.0.0.0:3", All, func(c *Config) any { return c.Addr.Papyrus }, "0.0.0.0:3"},
		{"ADMIN_ADDR", "localhost:4", All, func(c *Config) any { return c.Addr.Admin }, "localhost:4"},
		{"PUBLIC_BASE_URL", "https://p.example.com/", All, func(c *Config) any { return c.PublicBaseURL }, mustURL(t, "https://p.example.com")},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://otel.example.com/", Sender, func(c *Config) any { return c.Traces.Endpoint }, mustURL(t, "https://otel.example.com")},
		{
			"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20dTpw, x-team=a+b", All, func(c *Config) any { return c.Traces.Headers },
			map[string]secret.Text{"authorization": secret.New("Basic dTpw"), "x-team": secret.New("a+b")},
		},
		{"OTEL_TRACES_SAMPLER_ARG", "0.25", All, func(c *Config) any { return c.Traces.Ratio }, 0.25},
		{"OTEL_SERVICE_NAME", "edge", Sender, func(c *Config) any { return c.Traces.Service }, "edge"},
		{"SENTRY_DSN", "https://k@s.example.com/1", All, func(c *Config) any { return c.SentryDSN }, secret.New("https://k@s.example.com/1")},
		{"DATABASE_URL", "sqlite:/tmp/x.db", All, func(c *Config) any { return c.Database }, Database{Engine: SQLite, Path: "/tmp/x.db", AutoMigrate: true}},
		{"AUTO_MIGRATE", "false", All, func(c *Config) any { return c.Database.AutoMigrate }, false},
		{"REDIS_URL", "rediss://:pw@r:6379/0", All, func(c *Config) any { return c.RedisURL }, secret.New("rediss://:pw@r:6379/0")},
		{"SEAL_KEY", long, All, func(c *Config) any { return c.SealKey }, secret.New(long)},
		{"SIGNING_KEYS", `{"k1":"` + long + `"}`, Receiver, func(c *Config) any { return c.Keyring }, Keyring{Keys: map[string]secret.Text{"k1": secret.New(long)}}},
		{"ACTIVE_KEY_ID", "k1", All, func(c *Config) any { return c.Keyring.ActiveID }, "k1"},
		{"SHARED_SECRET", long, All, func(c *Config) any { return c.Keyring.Shared }, secret.New(long)},
		{"KEY_ROTATION_DATES", `{"k1":"2026-05-01","k2":"2026-05-01T02:00:00+02:00"}`, All, func(c *Config) any { return c.Keyring.Made }, map[string]time.Time{
			"k1": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), "k2": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		}},
		{"REPLAY_WINDOW_MS", "1500", All, func(c *Config) any { return c.ReplayWindow }, 1500 * time.Millisecond},
		{"RECEIVER_WORKER_URL", "https://r.example.com/base/", Sender, func(c *Config) any { return c.Forward.URL }, mustURL(t, "https://r.example.com/base")},
		{"ALLOW_INSECURE_RECEIVER", "1", Sender, func(c *Config) any { return c.Forward.AllowInsecure }, true},
		{"FORWARD_TIMEOUT", "2s", All, func(c *Config) any { return c.Forward.Timeout }, 2 * time.Second},
		{"SUPABASE_URL", "http://localhost:8080", Sender, func(c *Config) any { return c.Supabase.URL }, mustURL(t, "http://localhost:8080")},
		{"SUPABASE_ANON_KEY", "a", Sender, func(c *Config) any { return c.Supabase.AnonKey }, secret.New("a")},
		{"JWT_VALIDATION", "local", Receiver, func(c *Config) any { return c.Supabase.Validation }, ValidateLocal},
		{"JWT_CACHE_TTL", "30s", Receiver, func(c *Config) any { return c.Supabase.CacheTTL }, 30 * time.Second},
		{"SUPABASE_JWT_SECRET", "s", Receiver, func(c *Config) any { return c.Supabase.JWTSecret }, secret.New("s")},
		{"SUPABASE_JWT_ISSUER", "https://iss", Receiver, func(c *Config) any { return c.Supabase.JWTIssuer }, "https://iss"},
		{"ALLOWED_ORIGINS_JSON", `["https://A.example.com:443","https://*.example.org"]`, Sender, func(c *Config) any { return c.Origins.Provisioning }, []string{"https://a.example.com", "https://*.example.org"}},
		{"CORS_ORIGINS", "https://a.example.com, http://localhost:3000", All, func(c *Config) any { return c.Origins.Papyrus }, []string{"https://a.example.com", "http://localhost:3000"}},
		{"TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.1, 2001:db8::/32", All, func(c *Config) any { return c.TrustedProxies }, []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"),
		}},
		{"BODY_LIMIT", "1024", All, func(c *Config) any { return c.Limits.Body }, int64(1024)},
		{"MAX_CONNECTIONS", "20000", All, func(c *Config) any { return c.Limits.Connections }, int64(20000)},
		{"RATE_LIMIT_AUTH", "5/1h", All, func(c *Config) any { return c.Limits.Auth }, Rate{5, time.Hour}},
		{"RATE_LIMIT_SEND", "off", All, func(c *Config) any { return c.Limits.Send }, Rate{}},
		{"TIERS", `[{"name":"free","keys":1,"per_minute":2}]`, All, func(c *Config) any { return c.Tiers }, []Tier{{"free", 1, 2}}},
		{"API_KEY_PREFIX", "acme_", All, func(c *Config) any { return c.APIKeyPrefix }, "acme_"},
		{"EVENT_RETENTION", "24h", All, func(c *Config) any { return c.EventRetention }, day},
		{"ACCESS_TOKEN_EXPIRE_MINUTES", "5", All, func(c *Config) any { return c.Tokens.AccessLifetime }, 5 * time.Minute},
		{"REFRESH_TOKEN_EXPIRE_DAYS", "7", All, func(c *Config) any { return c.Tokens.RefreshLifetime }, 7 * day},
		{"REFRESH_TOKEN_KEY", long, All, func(c *Config) any { return c.Tokens.RefreshKey }, secret.New(long)},
		{"ACCESS_JWT_PRIVATE_KEY", key, All, func(c *Config) any { return c.Tokens.AccessKey }, secret.New(key)},
		{"ACCESS_JWT_PRIVATE_KEY_FILE", newFile(t, key), All, func(c *Config) any { return c.Tokens.AccessKey }, secret.New(key)},
		{"PASSWORD_PROFILE", "nist-800-63b-4", All, func(c *Config) any { return c.PasswordProfile }, PasswordNIST},
		{"API_PREFIX", "/api/v1/", All, func(c *Config) any { return c.APIPrefix }, "/api/v1"},
		{"PASSWORD_HASH_MEMORY", "47104", All, func(c *Config) any { return c.Hashing.Memory }, int64(47104)},
		{"PASSWORD_HASH_TIME", "3", All, func(c *Config) any { return c.Hashing.Time }, int64(3)},
		{"PASSWORD_MEMORY_BUDGET", "65536", All, func(c *Config) any { return c.Hashing.Budget }, int64(65536)},
		{"AUDIT_RETENTION", "720h", All, func(c *Config) any { return c.AuditRetention }, 30 * day},
		{"APP_PUBLIC_BASE_URL", "https://app.example.com/", All, func(c *Config) any { return c.AppURL }, mustURL(t, "https://app.example.com")},
		{"SMTP_HOST", "mail.example.com", All, func(c *Config) any { return c.SMTP.Host }, "mail.example.com"},
		{"SMTP_PORT", "465", All, func(c *Config) any { return c.SMTP.Port }, int64(465)},
		{"SMTP_USERNAME", "u", All, func(c *Config) any { return c.SMTP.Username }, "u"},
		{"SMTP_PASSWORD", "pw", All, func(c *Config) any { return c.SMTP.Password }, secret.New("pw")},
		{"SMTP_FROM_EMAIL", "p@example.com", All, func(c *Config) any { return c.SMTP.FromEmail }, "p@example.com"},
		{"SMTP_FROM_NAME", "Papyrus", All, func(c *Config) any { return c.SMTP.FromName }, "Papyrus"},
		{"SMTP_TLS", "tls", All, func(c *Config) any { return c.SMTP.TLS }, "tls"},
		{"GOOGLE_OAUTH_CLIENT_ID", "id", All, func(c *Config) any { return c.Provider.ClientID }, "id"},
		{"GOOGLE_OAUTH_CLIENT_SECRET", "s", All, func(c *Config) any { return c.Provider.ClientSecret }, secret.New("s")},
		{"OIDC_ISSUER", "http://localhost:9000", All, func(c *Config) any { return c.Provider.Issuer }, mustURL(t, "http://localhost:9000")},
		{"OAUTH_ALLOWED_REDIRECTS", "app://a/b, https://c/d", All, func(c *Config) any { return c.Provider.Redirects }, []string{"app://a/b", "https://c/d"}},
		{"POWERSYNC_SERVICE_URL", "http://localhost:8080", All, func(c *Config) any { return c.PowerSync.URL }, mustURL(t, "http://localhost:8080")},
		{"POWERSYNC_JWT_PRIVATE_KEY", private, All, func(c *Config) any { return c.PowerSync.Key }, secret.New(private)},
		{"POWERSYNC_JWT_PRIVATE_KEY_FILE", newFile(t, private), All, func(c *Config) any { return c.PowerSync.Key }, secret.New(private)},
		{"POWERSYNC_JWT_KEY_ID", "k2", All, func(c *Config) any { return c.PowerSync.KeyID }, "k2"},
		{"POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY", public, All, func(c *Config) any { return c.PowerSync.PreviousKey }, strings.TrimSpace(public)},
		{"POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY_FILE", newFile(t, public), All, func(c *Config) any { return c.PowerSync.PreviousKey }, public},
		{"POWERSYNC_JWT_PREVIOUS_KEY_ID", "k1", All, func(c *Config) any { return c.PowerSync.PreviousKeyID }, "k1"},
		{"POWERSYNC_JWT_AUDIENCE", "", All, func(c *Config) any { return c.PowerSync.Audience }, ""},
		{"POWERSYNC_TOKEN_EXPIRE_MINUTES", "10", All, func(c *Config) any { return c.PowerSync.Lifetime }, 10 * time.Minute},
		{"SYNC_MAX_STREAMS", "100", All, func(c *Config) any { return c.Sync.MaxStreams }, int64(100)},
		{"SYNC_MAX_STREAMS_PER_USER", "5", All, func(c *Config) any { return c.Sync.MaxStreamsPerUser }, int64(5)},
		{"UPLOAD_MEMORY_BUDGET", "67108864", All, func(c *Config) any { return c.Sync.UploadMemory }, int64(64 << 20)},
	}
	companions := map[string]map[string]string{ // that a setting does not go without
		"SMTP_HOST":                  {"SMTP_FROM_EMAIL": "p@example.com", "APP_PUBLIC_BASE_URL": "https://app.example.com"},
		"GOOGLE_OAUTH_CLIENT_ID":     {"GOOGLE_OAUTH_CLIENT_SECRET": "s"},
		"GOOGLE_OAUTH_CLIENT_SECRET": {"GOOGLE_OAUTH_CLIENT_ID": "id"},
	}
	covered := map[string]bool{}
	for _, tt := range rows {
		covered[tt.setting] = true
		t.Run(tt.setting, func(t *testing.T) {
			env := map[string]string{}
			if tt.service != All {
				env = senderEnv()
			}
			if tt.setting == "SIGNING_KEYS" {
				delete(env, "SHARED_SECRET")
			}
			maps.Copy(env, companions[tt.setting])
			env[tt.setting] = tt.text
			c, _ := fixture{service: tt.service, env: env}.mustLoad(t)
			if diff := cmp.Diff(tt.want, tt.field(c), byValue); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, row := range settings {
		if !covered[row.name] {
			t.Errorf("no row for %s", row.name)
		}
	}
}

func TestDefaults(t *testing.T) {
	c, r := fixture{service: All}.mustLoad(t)
	local := []string{"http://localhost:8081", "http://papyrus.localhost:3000"}
	want := &Config{
		Service: All, DataDir: c.DataDir,
		Addr:         Addr{"127.0.0.1:8787", "127.0.0.1:8788", "127.0.0.1:8080", "127.0.0.1:9090"},
		Log:          Log{Format: LogAuto, Level: slog.LevelInfo},
		Traces:       Traces{Ratio: 1, Service: "provisioner"},
		ReplayWindow: 5 * time.Minute,
		Forward:      Forward{Timeout: 8 * time.Second},
		Supabase:     Supabase{Validation: ValidateRemote},
		Origins:      Origins{local, local},
		Limits:       Limits{65536, Rate{100, 10 * time.Minute}, Rate{120, time.Minute}, 16384},
		Database:     Database{Engine: SQLite, Path: filepath.Join(c.DataDir, "provisioner.db"), AutoMigrate: true},
		Tiers:        []Tier{{"new", 3, 60}, {"pro", 25, 600}}, APIKeyPrefix: "obtk_", EventRetention: 720 * time.Hour,
		PublicBaseURL: mustURL(t, "http://localhost:8080"), APIPrefix: "/v1",
		Tokens:          Tokens{AccessLifetime: time.Hour, RefreshLifetime: 30 * day},
		PasswordProfile: PasswordDefault, Hashing: Hashing{Memory: 19456, Time: 2}, AuditRetention: 365 * day,
		SMTP:      SMTP{Port: 587, TLS: "starttls"},
		Provider:  Provider{Issuer: mustURL(t, "https://accounts.google.com")},
		PowerSync: PowerSync{URL: mustURL(t, "http://localhost:8080"), Audience: "powersync", Lifetime: 5 * time.Minute},
		Sync:      Sync{MaxStreams: 10_000, MaxStreamsPerUser: 50, UploadMemory: 256 << 20},
	}
	if diff := cmp.Diff(want, c, byValue); diff != "" {
		t.Error(diff)
	}
	if filepath.Base(c.DataDir) != "data" || len(r.Warnings) > 0 {
		t.Errorf("DataDir = %q, warnings = %v", c.DataDir, r.Warnings)
	}
	for _, v := range r.Values() {
		if v.Source != "default" {
			t.Errorf("%s comes from %q, want default", v.Name, v.Source)
		}
	}
}

func TestDefaultsThatDependOnOthers(t *testing.T) {
	c, _ := fixture{service: Sender, env: senderEnv()}.mustLoad(t)
	if c.DrainDelay != 5*time.Second || len(c.Origins.Provisioning) != 0 {
		t.Errorf("sender: drain %s, origins %v", c.DrainDelay, c.Origins)
	}
	c, _ = fixture{service: Receiver, env: senderEnv()}.mustLoad(t)
	if want := "https://project.supabase.co/auth/v1"; c.Supabase.JWTIssuer != want {
		t.Errorf("issuer = %q, want %q", c.Supabase.JWTIssuer, want)
	}
	c, _ = fixture{service: All, env: map[string]string{"SENDER_ADDR": ":8787", "PAPYRUS_ADDR": "0.0.0.0:99"}}.mustLoad(t)
	if len(c.Origins.Provisioning)+len(c.Origins.Papyrus) != 0 || c.PublicBaseURL.String() != "http://localhost:99" {
		t.Errorf("all, beyond loopback: origins %v, base %s", c.Origins, c.PublicBaseURL)
	}
}

// TestPrecedence gives LOG_LEVEL in every layer, and takes away the highest one after the other.
func TestPrecedence(t *testing.T) {
	layers := []struct {
		source string
		level  slog.Level
		add    func(*fixture)
	}{
		{"default", slog.LevelInfo, func(*fixture) {}},
		{"wrangler.toml [vars]", slog.LevelDebug, func(f *fixture) { f.files["wrangler.toml"] = "[vars]\nLOG_LEVEL = 'debug'\n" }},
		{".dev.vars", slog.LevelWarn, func(f *fixture) { f.files[".dev.vars"] = "LOG_LEVEL=warn\nSECRETS_DIR=mounted\n" }},
		{"secret file LOG_LEVEL", slog.LevelError, func(f *fixture) { f.files["mounted/LOG_LEVEL"] = "error\n" }},
		{"environment", slog.LevelInfo, func(f *fixture) { f.env["LOG_LEVEL"] = "info" }},
		{"flag --log-level", slog.LevelDebug, func(f *fixture) { f.args = []string{"--log-level=debug"} }},
	}
	for i, top := range layers {
		t.Run(top.source, func(t *testing.T) {
			f := fixture{service: All, files: map[string]string{"mounted/SEAL_KEY": long}, env: map[string]string{}}
			for _, layer := range layers[:i+1] {
				layer.add(&f)
			}
			c, r := f.mustLoad(t)
			if c.Log.Level != top.level {
				t.Errorf("level = %s, want %s", c.Log.Level, top.level)
			}
			if got := value(r, "LOG_LEVEL").Source; got != top.source {
				t.Errorf("source = %q, want %q", got, top.source)
			}
		})
	}
}

func TestAnEmptyValueCountsAsNone(t *testing.T) {
	c, r := fixture{
		service: All, env: map[string]string{"LOG_LEVEL": ""}, args: []string{"--log-level="},
		files: map[string]string{".dev.vars": "LOG_LEVEL=\n", "wrangler.toml": "[vars]\nLOG_LEVEL='warn'\n"},
	}.mustLoad(t)
	if got := value(r, "LOG_LEVEL"); c.Log.Level != slog.LevelWarn || got.Source != "wrangler.toml [vars]" {
		t.Errorf("level = %s, from %q", c.Log.Level, got.Source)
	}
}

func TestSecretsAreShownAsConfigured(t *testing.T) {
	env := senderEnv("REDIS_URL", "redis://:hunter2@r")
	_, r := fixture{service: Sender, env: env}.mustLoad(t)
	for _, v := range r.Values() {
		row, _ := find(v.Name)
		if set := env[v.Name] != ""; row.secret && set != (v.Value == "configured") {
			t.Errorf("%s shows as %q", v.Name, v.Value)
		}
	}
}

func TestKubernetesMount(t *testing.T) {
	f := fixture{service: Receiver, env: senderEnv("SHARED_SECRET", "", "SECRETS_DIR", "m"), files: map[string]string{
		"m/..2026/SHARED_SECRET": long + "\n\n", "m/.hidden": "x", "m/..2026/folder/SEAL_KEY": "x", "m/..2026/ca.crt": "x",
	}}
	o := f.options(t)
	mount := filepath.Join(o.Dir, "m")
	if err := errors.Join(os.Symlink("..2026", filepath.Join(mount, "..data")),
		os.Symlink("..data/SHARED_SECRET", filepath.Join(mount, "SHARED_SECRET"))); err != nil {
		t.Fatal(err)
	}
	c, r, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Keyring.Shared.Reveal(); got != long+"\n" { // one newline off, not two
		t.Errorf("SHARED_SECRET = %q", got)
	}
	if len(r.Warnings) != 1 || r.Warnings[0].Setting != "ca.crt" {
		t.Errorf("warnings = %v, want one of ca.crt", r.Warnings)
	}
	if !slices.Contains(r.Paths, mount) {
		t.Errorf("paths = %v, want %s among them", r.Paths, mount)
	}
}

func TestReload(t *testing.T) {
	f := fixture{service: Sender, env: senderEnv("SHARED_SECRET", ""), files: map[string]string{
		".dev.vars": `SIGNING_KEYS='{"k1":"` + long + `"}'` + "\nACTIVE_KEY_ID=k1\nFORWARD_TIMEOUT=soon\nALLOWED_ORIGINS_JSON=https://a.example.com\n",
	}}
	o := f.options(t)
	live, r, err := Reload(o)
	if err != nil {
		t.Fatalf("Reload() = %v; a fault of another setting must not count", err)
	}
	want := Live{
		Keyring: Keyring{Keys: map[string]secret.Text{"k1": secret.New(long)}, ActiveID: "k1"},
		Origins: Origins{Provisioning: []string{"https://a.example.com"}},
	}
	if diff := cmp.Diff(want, live, byValue); diff != "" {
		t.Error(diff)
	}
	path := filepath.Join(o.Dir, ".dev.vars")
	if !slices.Contains(r.Paths, path) {
		t.Errorf("paths = %v, want %s among them", r.Paths, path)
	}
	if err := os.WriteFile(path, []byte("SIGNING_KEYS={}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Reload(o); err == nil {
		t.Error("Reload() took an empty keyring")
	}
}

// value returns what the report says of a setting.
func value(r *Report, name string) Value {
	for _, v := range r.Values() {
		if v.Name == name {
			return v
		}
	}
	return Value{}
}
