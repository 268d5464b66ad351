package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"time"

	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	everyone = Sender | Receiver | Papyrus | All
	storing  = Receiver | Papyrus | All
)

// maxForward leaves the server time to write the answer: it ends connections after 30 s.
const maxForward = 25 * time.Second

// groups is the table of settings. To add a setting, add a row here and a field to [Config]. A computed default may use
// the rows above its own.
var groups = []group{
	{"Process", processRows},
	{"Listening", listeningRows},
	{"Traces and errors", observabilityRows},
	{"Data", dataRows},
	{"Signing", signingRows},
	{"Forwarding", forwardingRows},
	{"Identity", identityRows},
	{"Clients and limits", clientRows},
	{"API keys and events", keyRows},
	{"Accounts and tokens", accountRows},
	{"Mail", mailRows},
	{"Sign-in with a provider", providerRows},
	{"PowerSync", powerSyncRows},
}

var processRows = []setting{
	{
		name: "DEV_MODE", flag: "dev", kind: boolean, def: "false", users: everyone,
		help: "eases the rules on secrets for development",
		set:  into(parseBool, func(c *Config) *bool { return &c.DevMode }),
	},
	{
		name: "LOG_FORMAT", kind: choice, def: "auto", users: everyone,
		help: "auto (text on a terminal, JSON otherwise), text or json",
		set:  into(oneOf(LogAuto, LogText, LogJSON), func(c *Config) *LogFormat { return &c.Log.Format }),
	},
	{
		name: "LOG_LEVEL", kind: choice, def: "info", users: everyone,
		help: "debug, info, warn or error",
		set:  into(parseLevel, func(c *Config) *slog.Level { return &c.Log.Level }),
	},
	{
		name: "DRAIN_DELAY", kind: duration, users: everyone,
		computed: defaultDrain, defNote: "5s; 0s for `serve all`",
		help: "how long readiness fails after SIGTERM before the listeners close",
		set:  into(parseDuration(0), func(c *Config) *time.Duration { return &c.DrainDelay }),
	},
	{
		name: "DATA_DIR", kind: path, def: "./data", users: storing,
		help: "the directory of the SQLite file and of generated keys",
		set:  into(parseText, func(c *Config) *string { return &c.DataDir }),
	},
	{
		name: "SECRETS_DIR", kind: path, users: everyone,
		help: "a directory with one file per secret, named as the setting",
		set:  into(parseText, func(c *Config) *string { return &c.SecretsDir }),
	},
}

var listeningRows = []setting{
	{
		name: "SENDER_ADDR", kind: address, def: "127.0.0.1:8787", users: Sender | All,
		help: "where the sender listens",
		set:  into(parseAddr, func(c *Config) *string { return &c.Addr.Sender }),
	},
	{
		name: "RECEIVER_ADDR", kind: address, def: "127.0.0.1:8788", users: Receiver | All,
		help: "where the receiver listens",
		set:  into(parseAddr, func(c *Config) *string { return &c.Addr.Receiver }),
	},
	{
		name: "PAPYRUS_ADDR", kind: address, def: "127.0.0.1:8080", users: Papyrus | All,
		help: "where papyrus listens",
		set:  into(parseAddr, func(c *Config) *string { return &c.Addr.Papyrus }),
	},
	{
		name: "ADMIN_ADDR", kind: address, def: "127.0.0.1:9090", users: everyone,
		help: "where metrics and health probes are served; keep it off the internet",
		set:  into(parseAddr, func(c *Config) *string { return &c.Addr.Admin }),
	},
	{
		name: "PUBLIC_BASE_URL", kind: webURL, users: Papyrus | All,
		computed: defaultPublicURL, defNote: "`http://localhost:` and the port of `PAPYRUS_ADDR`",
		help: "papyrus's base URL as clients reach it",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.PublicBaseURL }),
	},
	{
		name: "API_PREFIX", kind: text, def: "/v1", users: Papyrus | All,
		help: "what the paths of papyrus's own API begin with",
		set:  into(parsePrefix, func(c *Config) *string { return &c.APIPrefix }),
	},
}

var observabilityRows = []setting{
	{
		name: "OTEL_EXPORTER_OTLP_ENDPOINT", kind: webURL, users: everyone,
		help: "the base URL of an OpenTelemetry collector, which gets traces by OTLP over HTTP; without it none are recorded",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.Traces.Endpoint }),
	},
	{
		name: "OTEL_EXPORTER_OTLP_HEADERS", kind: text, users: everyone, secret: true,
		help: "headers for the collector, such as authorization=Basic%20dTpw, values percent-encoded, several with commas between",
		set:  into(parseHeaders, func(c *Config) *map[string]secret.Text { return &c.Traces.Headers }),
	},
	{
		name: "OTEL_TRACES_SAMPLER_ARG", kind: number, def: "1", users: everyone,
		help: "how many of the traces that begin here are recorded, from 0 to 1",
		set:  into(parseRatio, func(c *Config) *float64 { return &c.Traces.Ratio }),
	},
	{
		name: "OTEL_SERVICE_NAME", kind: text, users: everyone,
		computed: defaultServiceName, defNote: "`provisioner-` and the service; `provisioner` for `serve all`",
		help: "the service's name in traces",
		set:  into(parseText, func(c *Config) *string { return &c.Traces.Service }),
	},
	{
		name: "SENTRY_DSN", kind: webURL, users: everyone, secret: true,
		help: "the DSN of a Sentry project, which hears of panics and internal errors, without user data",
		set:  into(parseDSN, func(c *Config) *secret.Text { return &c.SentryDSN }),
	},
}

var dataRows = []setting{
	{
		name: "DATABASE_URL", kind: text, users: storing, secret: true,
		computed: func(c *Config) string { return "sqlite:" + filepath.Join(c.DataDir, "provisioner.db") },
		defNote:  "`sqlite:<DATA_DIR>/provisioner.db`",
		help:     "sqlite:PATH, or postgres://… for several replicas, with ?pool_max_conns= for more than 16 connections",
		set:      into(parseDatabase, func(c *Config) *Database { return &c.Database }),
	},
	{
		name: "AUTO_MIGRATE", kind: boolean, def: "true", users: storing,
		help: "brings the database's schema up to date at the start; false refuses to start on an older one",
		set:  into(parseBool, func(c *Config) *bool { return &c.Database.AutoMigrate }),
	},
	{
		name: "REDIS_URL", kind: webURL, users: Sender | Papyrus | All, secret: true,
		help: "redis://… or rediss://…, to count rate limits for all replicas together",
		set:  into(parseRedis, func(c *Config) *secret.Text { return &c.RedisURL }),
	},
	{
		name: "SEAL_KEY", kind: text, users: storing, secret: true, defNote: "generated in `DATA_DIR` with SQLite; required with Postgres",
		help: "any text of at least 32 bytes; seals stored answers and keys",
		set:  into(parseLongSecret, func(c *Config) *secret.Text { return &c.SealKey }),
	},
}

var signingRows = []setting{
	{
		name: "SIGNING_KEYS", kind: jsonText, users: Sender | Receiver | All, secret: true, live: true,
		defNote: "required, or `SHARED_SECRET`; generated by `serve all`",
		help:    `the HMAC keys, {"<id>": "<secret of at least 32 bytes>"}; or SHARED_SECRET for a single one`,
		set:     into(parseSigningKeys, func(c *Config) *map[string]secret.Text { return &c.Keyring.Keys }),
	},
	{
		name: "ACTIVE_KEY_ID", kind: text, users: Sender | Receiver | All, live: true,
		defNote: "required by the sender with `SIGNING_KEYS`",
		help:    "the id in SIGNING_KEYS that the sender signs with",
		set:     into(parseText, func(c *Config) *string { return &c.Keyring.ActiveID }),
	},
	{
		name: "SHARED_SECRET", kind: text, users: Sender | Receiver | All, secret: true, live: true,
		help: "the one HMAC key of the form without key ids, at least 32 bytes; ignored beside SIGNING_KEYS",
		set:  into(parseSecret, func(c *Config) *secret.Text { return &c.Keyring.Shared }),
	},
	{
		name: "KEY_ROTATION_DATES", kind: jsonText, users: Sender | Receiver | All, live: true,
		help: `when each key was made, {"<id>": "2026-01-31"}; one older than 90 days is a warning`,
		set:  into(parseDates, func(c *Config) *map[string]time.Time { return &c.Keyring.Made }),
	},
	{
		name: "REPLAY_WINDOW_MS", kind: number, def: "300000", users: Receiver | All,
		help: "how far a request's timestamp may be off, in milliseconds, at most a day",
		set:  into(parseUnits(time.Millisecond, 24*time.Hour), func(c *Config) *time.Duration { return &c.ReplayWindow }),
	},
}

var forwardingRows = []setting{
	{
		name: "RECEIVER_WORKER_URL", flag: "receiver-url", kind: webURL, users: Sender, required: Sender,
		help: "the receiver's base URL",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.Forward.URL }),
	},
	{
		name: "ALLOW_INSECURE_RECEIVER", kind: boolean, def: "false", users: Sender,
		help: "allows plain http to a receiver outside this host and cluster",
		set:  into(parseBool, func(c *Config) *bool { return &c.Forward.AllowInsecure }),
	},
	{
		name: "FORWARD_TIMEOUT", kind: duration, def: "8s", users: Sender | All,
		help: "how long the sender waits for the receiver, all tries together; shipped clients give up after 10s",
		set:  into(parseDurationWithin(time.Millisecond, maxForward), func(c *Config) *time.Duration { return &c.Forward.Timeout }),
	},
}

var identityRows = []setting{
	{
		name: "SUPABASE_URL", kind: webURL, users: Sender | Receiver, required: Sender | Receiver,
		help: "the base URL of the Supabase project, or of papyrus",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.Supabase.URL }),
	},
	{
		name: "SUPABASE_ANON_KEY", kind: text, users: Sender | Receiver, required: Sender | Receiver, secret: true,
		help: "the project's anon (publishable) key; any text for papyrus",
		set:  into(parseSecret, func(c *Config) *secret.Text { return &c.Supabase.AnonKey }),
	},
	{
		name: "JWT_VALIDATION", kind: choice, def: "remote", users: Receiver | All,
		help: "remote (asks the provider, honours revocation) or local (checks signature and claims)",
		set:  into(oneOf(ValidateRemote, ValidateLocal), func(c *Config) *JWTValidation { return &c.Supabase.Validation }),
	},
	{
		name: "JWT_CACHE_TTL", kind: duration, def: "0s", users: Receiver | All,
		help: "how long a valid JWT is believed without asking again; 0s for not at all",
		set:  into(parseDuration(0), func(c *Config) *time.Duration { return &c.Supabase.CacheTTL }),
	},
	{
		name: "SUPABASE_JWT_SECRET", kind: text, users: Receiver, secret: true,
		help: "the project's legacy HS256 secret, for JWT_VALIDATION=local without JWKS",
		set:  into(parseSecret, func(c *Config) *secret.Text { return &c.Supabase.JWTSecret }),
	},
	{
		name: "SUPABASE_JWT_ISSUER", kind: text, users: Receiver,
		computed: defaultIssuer, defNote: "`<SUPABASE_URL>/auth/v1`",
		help: "the issuer that JWTs must name, for JWT_VALIDATION=local",
		set:  into(parseText, func(c *Config) *string { return &c.Supabase.JWTIssuer }),
	},
}

var clientRows = []setting{
	{
		name: "ALLOWED_ORIGINS_JSON", kind: list, users: Sender | Receiver | All, live: true,
		computed: func(c *Config) string { return defaultOrigins(c, c.Addr.Sender) }, defNote: originsNote,
		help: `browser origins that may call sender and receiver, such as ["https://app.example.com"]`,
		set:  into(parseOrigins, func(c *Config) *[]string { return &c.Origins.Provisioning }),
	},
	{
		name: "CORS_ORIGINS", kind: list, users: Papyrus | All, live: true,
		computed: func(c *Config) string { return defaultOrigins(c, c.Addr.Papyrus) }, defNote: originsNote,
		help: `browser origins that may call papyrus, such as ["https://app.example.com"]`,
		set:  into(parseOrigins, func(c *Config) *[]string { return &c.Origins.Papyrus }),
	},
	{
		name: "TRUSTED_PROXIES", kind: list, users: everyone,
		help: "addresses and networks whose X-Forwarded-For is believed, such as 10.0.0.0/8",
		set:  into(parsePrefixes, func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }),
	},
	{
		name: "BODY_LIMIT", kind: number, def: "65536", users: everyone,
		help: "the largest request body, in bytes, at most 64 MiB",
		set:  into(parseBodyLimit, func(c *Config) *int64 { return &c.Limits.Body }),
	},
	{
		name: "MAX_CONNECTIONS", kind: number, def: "16384", users: everyone,
		help: "how many connections each listener holds at once; more get 503",
		set:  into(parseIntWithin(16, 1<<20), func(c *Config) *int64 { return &c.Limits.Connections }),
	},
	{
		name: "RATE_LIMIT_AUTH", kind: rate, def: "100/10m", users: Sender | Papyrus | All,
		help: "sign-ups and sign-ins per client network, such as 100/10m, or off",
		set:  into(parseRate, func(c *Config) *Rate { return &c.Limits.Auth }),
	},
	{
		name: "RATE_LIMIT_SEND", kind: rate, def: "120/1m", users: Sender | All,
		help: "requests to /send per client network, such as 120/1m, or off",
		set:  into(parseRate, func(c *Config) *Rate { return &c.Limits.Send }),
	},
}

var keyRows = []setting{
	{
		name: "TIERS", kind: jsonText, users: storing,
		def:  `[{"name":"new","keys":3,"per_minute":60},{"name":"pro","keys":25,"per_minute":600}]`,
		help: "the plans from lowest to highest: name, live keys, verifications per minute",
		set:  into(parseTiers, func(c *Config) *[]Tier { return &c.Tiers }),
	},
	{
		name: "API_KEY_PREFIX", kind: text, def: "obtk_", users: Papyrus | All,
		help: "what API keys begin with: 1 to 16 of A-Z, a-z, 0-9 and _",
		set:  into(parseKeyPrefix, func(c *Config) *string { return &c.APIKeyPrefix }),
	},
	{
		name: "EVENT_RETENTION", kind: duration, def: "720h", users: Receiver | All,
		help: "how long events are kept",
		set:  into(parseDuration(time.Hour), func(c *Config) *time.Duration { return &c.EventRetention }),
	},
}

var accountRows = []setting{
	{
		name: "ACCESS_TOKEN_EXPIRE_MINUTES", kind: number, def: "60", users: Papyrus | All,
		help: "how long an access token lives, in minutes, at most a day",
		set:  into(parseUnits(time.Minute, day), func(c *Config) *time.Duration { return &c.Tokens.AccessLifetime }),
	},
	{
		name: "REFRESH_TOKEN_EXPIRE_DAYS", kind: number, def: "30", users: Papyrus | All,
		help: "how long an unused refresh token lives, in days, at most 365",
		set:  into(parseUnits(day, 365*day), func(c *Config) *time.Duration { return &c.Tokens.RefreshLifetime }),
	},
	{
		name: "REFRESH_TOKEN_KEY", kind: text, users: Papyrus | All, secret: true,
		defNote: "generated in `DATA_DIR` with SQLite; required with Postgres",
		help:    "any text of at least 32 bytes; refresh tokens are made with it",
		set:     into(parseLongSecret, func(c *Config) *secret.Text { return &c.Tokens.RefreshKey }),
	},
	{
		name: "ACCESS_JWT_PRIVATE_KEY", kind: text, users: Papyrus | All, secret: true,
		defNote: "generated in `DATA_DIR` with SQLite; required with Postgres",
		help:    "the P-256 private key that signs access tokens, as PEM; or ACCESS_JWT_PRIVATE_KEY_FILE",
		set:     into(parsePrivateKey, func(c *Config) *secret.Text { return &c.Tokens.AccessKey }),
	},
	{
		name: "ACCESS_JWT_PRIVATE_KEY_FILE", kind: path, users: Papyrus | All,
		help: "a file that holds ACCESS_JWT_PRIVATE_KEY",
		set:  into(parseText, func(c *Config) *string { return &c.Tokens.AccessKeyFile }),
	},
	{
		name: "PASSWORD_PROFILE", kind: choice, def: "default", users: Papyrus | All,
		help: "default (new passwords of 8 characters or more) or nist-800-63b-4 (15)",
		set:  into(oneOf(PasswordDefault, PasswordNIST), func(c *Config) *PasswordProfile { return &c.PasswordProfile }),
	},
	{
		name: "PASSWORD_HASH_MEMORY", kind: number, def: "19456", users: Papyrus | All,
		help: "memory of one argon2id hash, in KiB, at least 19456; when raised, passwords are hashed anew as their users sign in",
		set:  into(parseIntWithin(19456, 1<<20), func(c *Config) *int64 { return &c.Hashing.Memory }),
	},
	{
		name: "PASSWORD_HASH_TIME", kind: number, def: "2", users: Papyrus | All,
		help: "passes of one argon2id hash, at least 2",
		set:  into(parseIntWithin(2, 16), func(c *Config) *int64 { return &c.Hashing.Time }),
	},
	{
		name: "PASSWORD_MEMORY_BUDGET", kind: number, users: Papyrus | All,
		defNote: "one hash a processor but one, and at most a quarter of the container's memory",
		help:    "memory of all hashes under way together, in KiB; sign-ins beyond it wait, then get 503",
		set:     into(parseIntWithin(19456, 1<<30), func(c *Config) *int64 { return &c.Hashing.Budget }),
	},
	{
		name: "AUDIT_RETENTION", kind: duration, def: "8760h", users: Papyrus | All,
		help: "how long audit entries are kept",
		set:  into(parseDuration(24*time.Hour), func(c *Config) *time.Duration { return &c.AuditRetention }),
	},
}

var mailRows = []setting{
	{
		name: "APP_PUBLIC_BASE_URL", kind: webURL, users: Papyrus | All,
		help: "the app's base URL, to which the links in mail lead",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.AppURL }),
	},
	{
		name: "SMTP_HOST", kind: text, users: Papyrus | All,
		help: "the mail server; without it no mail is sent",
		set:  into(parseText, func(c *Config) *string { return &c.SMTP.Host }),
	},
	{
		name: "SMTP_PORT", kind: number, def: "587", users: Papyrus | All,
		help: "the mail server's port",
		set:  into(parseIntWithin(1, 65535), func(c *Config) *int64 { return &c.SMTP.Port }),
	},
	{
		name: "SMTP_USERNAME", kind: text, users: Papyrus | All,
		help: "whom to sign in to the mail server as",
		set:  into(parseText, func(c *Config) *string { return &c.SMTP.Username }),
	},
	{
		name: "SMTP_PASSWORD", kind: text, users: Papyrus | All, secret: true,
		help: "the password of SMTP_USERNAME",
		set:  into(parseSecret, func(c *Config) *secret.Text { return &c.SMTP.Password }),
	},
	{
		name: "SMTP_FROM_EMAIL", kind: text, users: Papyrus | All,
		help: "the address that mail comes from",
		set:  into(parseText, func(c *Config) *string { return &c.SMTP.FromEmail }),
	},
	{
		name: "SMTP_FROM_NAME", kind: text, users: Papyrus | All,
		help: "the name that mail comes from",
		set:  into(parseText, func(c *Config) *string { return &c.SMTP.FromName }),
	},
	{
		name: "SMTP_TLS", kind: choice, def: "starttls", users: Papyrus | All,
		help: "starttls (always, never without), tls (from the first byte) or none (for a server on this machine)",
		set:  into(oneOf("starttls", "tls", "none"), func(c *Config) *string { return &c.SMTP.TLS }),
	},
}

var providerRows = []setting{
	{
		name: "GOOGLE_OAUTH_CLIENT_ID", kind: text, users: Papyrus | All,
		help: "the client id at Google, or at the provider of OIDC_ISSUER; without it nobody signs in that way",
		set:  into(parseText, func(c *Config) *string { return &c.Provider.ClientID }),
	},
	{
		name: "GOOGLE_OAUTH_CLIENT_SECRET", kind: text, users: Papyrus | All, secret: true,
		help: "the client secret at the provider",
		set:  into(parseSecret, func(c *Config) *secret.Text { return &c.Provider.ClientSecret }),
	},
	{
		name: "OIDC_ISSUER", kind: webURL, def: "https://accounts.google.com", users: Papyrus | All,
		help: "the OpenID Connect provider",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.Provider.Issuer }),
	},
	{
		name: "OAUTH_ALLOWED_REDIRECTS", kind: list, users: Papyrus | All,
		help: "where sign-ins may end beside papyrus://auth/callback, http://localhost:43821/auth/callback and /auth/callback of CORS_ORIGINS",
		set:  into(parseList, func(c *Config) *[]string { return &c.Provider.Redirects }),
	},
}

var powerSyncRows = []setting{
	{
		name: "POWERSYNC_SERVICE_URL", kind: webURL, users: Papyrus | All,
		computed: defaultPowerSync, defNote: "`PUBLIC_BASE_URL`: the embedded one",
		help: "the base URL of a PowerSync Service",
		set:  into(parseBaseURL, func(c *Config) **url.URL { return &c.PowerSync.URL }),
	},
	{
		name: "POWERSYNC_JWT_PRIVATE_KEY", kind: text, users: Papyrus | All, secret: true,
		defNote: "generated and kept in the database, under `SEAL_KEY`",
		help:    "the RSA private key that signs PowerSync tokens, as PEM; or POWERSYNC_JWT_PRIVATE_KEY_FILE",
		set:     into(parseRSAKey, func(c *Config) *secret.Text { return &c.PowerSync.Key }),
	},
	{
		name: "POWERSYNC_JWT_PRIVATE_KEY_FILE", kind: path, users: Papyrus | All,
		help: "a file that holds POWERSYNC_JWT_PRIVATE_KEY",
		set:  into(parseText, func(c *Config) *string { return &c.PowerSync.KeyFile }),
	},
	{
		name: "POWERSYNC_JWT_KEY_ID", kind: text, users: Papyrus | All, defNote: "the key's RFC 7638 thumbprint",
		help: "the id of POWERSYNC_JWT_PRIVATE_KEY",
		set:  into(parseText, func(c *Config) *string { return &c.PowerSync.KeyID }),
	},
	{
		name: "POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY", kind: text, users: Papyrus | All,
		help: "the RSA public key before, as PEM, still published; or POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY_FILE",
		set:  into(parseRSAPublicKey, func(c *Config) *string { return &c.PowerSync.PreviousKey }),
	},
	{
		name: "POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY_FILE", kind: path, users: Papyrus | All,
		help: "a file that holds POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY",
		set:  into(parseText, func(c *Config) *string { return &c.PowerSync.PreviousKeyFile }),
	},
	{
		name: "POWERSYNC_JWT_PREVIOUS_KEY_ID", kind: text, users: Papyrus | All, defNote: "the key's RFC 7638 thumbprint",
		help: "the id of POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY",
		set:  into(parseText, func(c *Config) *string { return &c.PowerSync.PreviousKeyID }),
	},
	{
		name: "POWERSYNC_JWT_AUDIENCE", kind: text, def: "powersync", users: Papyrus | All, blank: true,
		help: "the audience of PowerSync tokens; set to the empty text, none are given out",
		set:  into(parseText, func(c *Config) *string { return &c.PowerSync.Audience }),
	},
	{
		name: "POWERSYNC_TOKEN_EXPIRE_MINUTES", kind: number, def: "5", users: Papyrus | All,
		help: "how long a PowerSync token lives, in minutes, at most a day",
		set:  into(parseUnits(time.Minute, day), func(c *Config) *time.Duration { return &c.PowerSync.Lifetime }),
	},
	{
		name: "SYNC_MAX_STREAMS", kind: number, def: "10000", users: Papyrus | All,
		help: "how many devices may hold a stream of the embedded PowerSync Service open at once, in each process",
		set:  into(parseIntWithin(1, 1<<20), func(c *Config) *int64 { return &c.Sync.MaxStreams }),
	},
	{
		name: "SYNC_MAX_STREAMS_PER_USER", kind: number, def: "50", users: Papyrus | All,
		help: "how many of these may be one user's",
		set:  into(parseIntWithin(1, 1<<20), func(c *Config) *int64 { return &c.Sync.MaxStreamsPerUser }),
	},
	{
		name: "UPLOAD_MEMORY_BUDGET", kind: number, def: "268435456", users: Papyrus | All,
		help: "memory of all uploads under way together, in bytes, at least 64 MiB; uploads beyond it wait, then get 503",
		set:  into(parseIntWithin(64<<20, 1<<40), func(c *Config) *int64 { return &c.Sync.UploadMemory }),
	},
}
