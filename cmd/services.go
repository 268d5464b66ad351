package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/httpapi/middleware"
	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/ratelimit/redislimit"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/reporting"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/supabase"
	"github.com/provisioner/provisioner/pkg/tracing"
)

// services builds the services of one process from what they share.
type services struct {
	cfg            *config.Config
	log            *slog.Logger
	metrics        *prometheus.Registry
	calling        *prometheus.HistogramVec // of calls over the network, once there is one
	traces         *tracing.Provider        // nil where none are recorded
	reports        *reporting.Reporter      // nil where nobody wants them
	db             *store.DB                // nil in a process of the sender alone
	adopted        bool                     // the database may hold sessions from before this server
	keys           *signing.Keyring         // nil in a process of papyrus alone
	keyAges        *keyAges                 // nil with keys
	origins        *middleware.Origins      // of sender and receiver
	papyrusOrigins *middleware.Origins
	limiter        ratelimit.Limiter
	refusals       *audit.Refusals // of papyrus, once it is built
	ready          func(context.Context) error
	drainers       []func(delay time.Duration)
	workers        []worker
	closers        []func() error
}

// worker works in the background as long as the services run.
type worker struct {
	name string
	run  func(context.Context) error
}

// newServices opens what the services of cfg share.
func newServices(ctx context.Context, cfg *config.Config, log *slog.Logger) (*services, error) {
	s := &services{
		cfg: cfg, log: log, metrics: prometheus.NewRegistry(),
		origins: middleware.NewOrigins(cfg.Origins.Provisioning), papyrusOrigins: middleware.NewOrigins(cfg.Origins.Papyrus),
	}
	s.registerBuild()
	if err := s.openTraces(ctx); err != nil {
		return nil, err
	}
	if err := s.openReports(); err != nil {
		return nil, err
	}
	if err := s.openLimiter(); err != nil {
		return nil, err
	}
	if cfg.Service != config.Sender {
		db, err := openStore(ctx, cfg)
		if err != nil {
			return nil, err
		}
		s.db, s.ready = db, db.Ping
		adopted, err := db.HasAdoptedSessions(ctx)
		s.adopted = adopted || err != nil // it is asked again when they present their tokens
		s.closers = append(s.closers, db.Close)
		s.metrics.MustRegister(db.Collectors()...)
	}
	if cfg.Service == config.Papyrus {
		return s, nil
	}
	s.keyAges = newKeyAges(cfg.Keyring, time.Now)
	s.metrics.MustRegister(s.keyAges)
	keys, err := s.signingKeys()
	s.keys = keys
	return s, err
}

func (s *services) openLimiter() error {
	local := ratelimit.NewMemory(time.Now)
	s.limiter = local
	local.Bound().Register(s.metrics)
	if !s.cfg.RedisURL.IsSet() {
		return nil
	}
	shared, err := redislimit.Open(s.cfg.RedisURL.Reveal())
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	s.limiter = ratelimit.NewShared(shared, local, time.Now, s.log)
	s.closers = append(s.closers, shared.Close)
	return nil
}

func (s *services) options(origins *middleware.Origins) httpapi.Options {
	o := httpapi.Options{
		Log: s.log, Metrics: s.metrics, Origins: origins, TrustedProxies: s.cfg.TrustedProxies, Followed: s.cfg.TrustedProxies,
	}
	if s.traces != nil { // a nil pointer in an interface is not nil
		o.Traces = s.traces
	}
	if s.reports != nil {
		o.Report = s.reports.Report
	}
	return o
}

// sender builds the sender. Receiver and identity say how to reach the services that it calls.
func (s *services) sender(receiver http.RoundTripper, receiverURL string, identity *supabase.Client) http.Handler {
	options := s.options(s.origins)
	options.Followed = nil // what its proxies pass on is the word of strangers
	forward := provision.NewSender(receiverURL, s.keys, receiver, time.Now)
	s.showCircuit(forward)
	return sender.New(sender.Config{
		Options:        options,
		Identity:       identity,
		Sender:         forward,
		Limiter:        s.limiter,
		Auth:           ratelimit.Limit(s.cfg.Limits.Auth),
		Send:           ratelimit.Limit(s.cfg.Limits.Send),
		BodyLimit:      s.cfg.Limits.Body,
		ForwardTimeout: s.cfg.Forward.Timeout,
		Version:        version(),
		Now:            time.Now,
	})
}

// receiver builds the receiver, which asks users about JWTs and identity for keys.
func (s *services) receiver(identity *supabase.Client, users provision.Validator) (http.Handler, error) {
	sealer, err := s.sealer()
	if err != nil {
		return nil, err
	}
	guard := replay.NewGuard(s.measureCommits(s.db))
	guard.Bound().Register(s.metrics)
	return receiver.New(receiver.Config{
		Options:  s.options(s.origins),
		Verifier: signing.NewVerifier(s.keys, s.cfg.ReplayWindow, time.Now),
		Receiver: provision.NewReceiver(provision.ReceiverConfig{
			Guard:   guard,
			Users:   users,
			Keys:    identity,
			Intents: idempotency.NewDoer(s.db, sealer, time.Now, idempotency.WithTakeOver(s.takeOvers().Inc)),
			Tiers:   tierNames(s.cfg.Tiers),
			Now:     time.Now,
			Log:     s.log,
		}),
		BodyLimit: s.cfg.Limits.Body,
	}), nil
}

// takeOvers counts intents of which an earlier try may have had its effect: an edge function that ignores the
// Idempotency-Key may have left a key for each that nobody was given.
func (s *services) takeOvers() prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "provisioner_intent_takeovers_total",
		Help: "Intents that were tried again after a try whose outcome is unknown.",
	})
	s.metrics.MustRegister(c)
	return c
}

func (s *services) sealer() (*seal.Sealer, error) {
	key, err := s.generated(s.cfg.SealKey, "seal-key", randomSecret)
	if err != nil {
		return nil, err
	}
	return seal.New(key)
}

// issuer is what our access tokens name as theirs.
func (s *services) issuer() string { return s.cfg.PublicBaseURL.String() + "/auth/v1" }

// validator returns who judges users' JWTs: the provider, or this process by the keys of the provider at url. An issuer "" is
// that of a Supabase project.
func (s *services) validator(identity *supabase.Client, url, issuer string, network http.RoundTripper) provision.Validator {
	c := s.cfg.Supabase
	var users provision.Validator = identity
	switch {
	case c.Validation == config.ValidateRemote:
	case c.JWTSecret.IsSet():
		users = supabase.NewSecretValidator(c.JWTSecret, url, issuer, time.Now)
	default:
		users = supabase.NewJWKSValidator(url, issuer, network, time.Now)
	}
	if c.CacheTTL > 0 {
		cached := supabase.NewCachedValidator(users, c.CacheTTL, time.Now)
		cached.Bound().Register(s.metrics)
		users = cached
	}
	return users
}

func tiers(in []config.Tier) []apikey.Tier {
	out := make([]apikey.Tier, len(in))
	for i, t := range in {
		out[i] = apikey.Tier{Name: t.Name, Keys: t.Keys, PerMinute: t.PerMinute}
	}
	return out
}

func tierNames(in []config.Tier) []string {
	out := make([]string, len(in))
	for i, t := range in {
		out[i] = t.Name
	}
	return out
}
