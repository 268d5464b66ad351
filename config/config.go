package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/secret"
)

// Service is what is to be run. It decides which settings are read and which are required.
type Service uint8

// The services, as bits, so that a setting can name several. All is "serve all": the three in one process, with settings
// of its own; it is not the union of the others.
const (
	Sender Service = 1 << iota
	Receiver
	Papyrus
	All
)

// String returns the name used on the command line; several are separated by ", ".
func (s Service) String() string {
	var names []string
	for i, name := range []string{"sender", "receiver", "papyrus", "all"} {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Config is everything the services are built from, as [Load] returns it: parsed, checked, defaults filled in. Fields that
// the service does not use keep their zero value. It holds no reference that Load goes on writing to.
type Config struct {
	Service    Service
	DevMode    bool          // eases the rules on secrets; never for production
	DataDir    string        // holds the SQLite file and generated keys
	SecretsDir string        // one file per secret; "" for none
	DrainDelay time.Duration // from SIGTERM to closing the listeners; 0 for none
	Addr       Addr
	Log        Log
	Traces     Traces
	SentryDSN  secret.Text // unset: errors are logged alone

	Keyring      Keyring
	ReplayWindow time.Duration // how far a timestamp may be off, either way
	Forward      Forward
	Supabase     Supabase
	Origins      Origins
	Limits       Limits

	TrustedProxies []netip.Prefix // whose X-Forwarded-For counts; none for nobody's
	Database       Database
	RedisURL       secret.Text // unset: limits are counted in the process
	SealKey        secret.Text // at least 32 bytes; unset only with SQLite
	EventRetention time.Duration

	Tiers           []Tier // from lowest to highest, at least one
	APIKeyPrefix    string
	PublicBaseURL   *url.URL // papyrus, as clients reach it; no trailing slash
	APIPrefix       string   // "/v1"
	Tokens          Tokens
	PasswordProfile PasswordProfile
	Hashing         Hashing
	AuditRetention  time.Duration
	AppURL          *url.URL // the app, as users reach it; nil unless mail is sent
	SMTP            SMTP
	Provider        Provider
	PowerSync       PowerSync
	Sync            Sync
}

// ExternalPowerSync reports whether POWERSYNC_SERVICE_URL names a PowerSync Service other than the embedded one.
func (c *Config) ExternalPowerSync() bool {
	return c.PowerSync.URL != nil && c.PublicBaseURL != nil && c.PowerSync.URL.String() != c.PublicBaseURL.String()
}

// Addr holds the addresses to listen on, each host:port; an empty host is every interface, port 0 a free one.
type Addr struct{ Sender, Receiver, Papyrus, Admin string }

// Log says how the process logs.
type Log struct {
	Format LogFormat
	Level  slog.Level
}

// LogFormat is the shape of log lines.
type LogFormat string

// The log formats. LogAuto is text on a terminal and JSON otherwise.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Traces says where traces go. A nil Endpoint means that none are recorded.
type Traces struct {
	Endpoint *url.URL // base URL without trailing slash
	Headers  map[string]secret.Text
	Ratio    float64 // from 0 to 1
	Service  string
}

// Forward says how the sender reaches the receiver.
type Forward struct {
	URL           *url.URL // base URL without trailing slash; nil for All
	AllowInsecure bool     // plain http to anywhere
	Timeout       time.Duration
}

// Supabase is the identity provider. All fields but Validation and CacheTTL are unset for All, which binds to its own.
type Supabase struct {
	URL        *url.URL // base URL without trailing slash
	AnonKey    secret.Text
	Validation JWTValidation
	CacheTTL   time.Duration // how long a valid JWT is believed unasked; 0 means not at all
	JWTSecret  secret.Text   // for local validation of HS256; unset means by the project's JWKS
	JWTIssuer  string
}

// JWTValidation says who checks the users' JWTs.
type JWTValidation string

// The ways of validation. Remote asks the provider and so honours revocation; local checks signature and claims.
const (
	ValidateRemote JWTValidation = "remote"
	ValidateLocal  JWTValidation = "local"
)

// Origins are the browser origins that may call, in the form in which browsers send them, or with one leading wildcard
// label ("https://*.example.com").
type Origins struct {
	Provisioning []string // of sender and receiver
	Papyrus      []string
}

// Limits bound what clients may ask for.
type Limits struct {
	Body        int64 // bytes of a request's body
	Auth        Rate  // sign-ups and sign-ins per client network
	Send        Rate  // POST /send per client network
	Connections int64 // of each listener, at once
}

// Rate is a number of requests in a period. The zero Rate is off.
type Rate struct {
	Count  int
	Period time.Duration
}

// Off reports whether nothing is limited.
func (r Rate) Off() bool { return r.Count == 0 }

// Database says where the data is.
type Database struct {
	Engine Engine
	URL    secret.Text // Postgres: the connection URL
	Path   string      // SQLite: the file

	AutoMigrate bool // bring the schema up to date at the start
}

// Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Tier is a plan of API keys.
type Tier struct {
	Name      string `json:"name"`
	Keys      int    `json:"keys"`       // live keys that an account of this plan may have
	PerMinute int    `json:"per_minute"` // verifications of one key
}

// Tokens says how papyrus signs and how long its tokens live.
type Tokens struct {
	AccessLifetime  time.Duration
	RefreshLifetime time.Duration
	RefreshKey      secret.Text // at least 32 bytes; unset only with SQLite
	AccessKey       secret.Text // PEM of a P-256 private key; unset only with SQLite
	AccessKeyFile   string      // where AccessKey was read from; "" when it was given itself
}

// Hashing is what a password hash costs.
type Hashing struct {
	Memory int64 // of one, in KiB
	Time   int64 // passes of one
	Budget int64 // memory of all together, in KiB; 0 means what the machine allows
}

// SMTP is the mail server. An empty Host sends no mail.
type SMTP struct {
	Host      string
	Port      int64
	Username  string
	Password  secret.Text
	FromEmail string
	FromName  string
	TLS       string // starttls, tls or none
}

// Provider is the OpenID provider to sign in with. An empty ClientID means none.
type Provider struct {
	ClientID     string
	ClientSecret secret.Text
	Issuer       *url.URL
	Redirects    []string // where sign-ins may end, beside the built-in places
}

// PowerSync says where devices sync, and with which tokens.
type PowerSync struct {
	URL             *url.URL    // the PowerSync Service; no trailing slash
	Key             secret.Text // PEM of an RSA private key; unset for a generated one
	KeyFile         string      // where Key was read from; "" when it was given itself
	KeyID           string      // "" for the thumbprint
	PreviousKey     string      // PEM of an RSA public key; "" for none
	PreviousKeyFile string
	PreviousKeyID   string
	Audience        string // "" gives out no tokens
	Lifetime        time.Duration
}

// Sync bounds what devices that sync may take.
type Sync struct {
	MaxStreams        int64 // of the embedded PowerSync Service, at once
	MaxStreamsPerUser int64
	UploadMemory      int64 // of all uploads under way, in bytes
}

// PasswordProfile is a policy for new passwords.
type PasswordProfile string

// The password profiles. NIST asks for 15 characters where the default asks for 8.
const (
	PasswordDefault PasswordProfile = "default"
	PasswordNIST    PasswordProfile = "nist-800-63b-4"
)
