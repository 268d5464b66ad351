package cmd

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/bound"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/supabaseapi"
	"github.com/provisioner/provisioner/pkg/httpapi/syncapi"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
)

// papyrus builds the accounts service, with its own API and Supabase's.
func (s *services) papyrus() (http.Handler, error) {
	sealer, err := s.sealer()
	if err != nil {
		return nil, err
	}
	accessKeys, err := s.accessKeys(sealer)
	if err != nil {
		return nil, err
	}
	powerSyncKeys, err := powerSyncKeys(s.cfg, s.db, sealer)
	if err != nil {
		return nil, err
	}
	accounts, err := s.accounts(accessKeys)
	if err != nil {
		return nil, err
	}
	flow, err := s.providerFlow()
	if err != nil {
		return nil, err
	}
	keys := apikey.New(apikey.Config{
		Store: s.db, Sealer: sealer, Prefix: s.cfg.APIKeyPrefix, Tiers: tiers(s.cfg.Tiers), Now: time.Now, Feed: s.db, Log: s.log,
	})
	for _, b := range keys.Bounds() {
		b.Register(s.metrics)
	}
	s.workers = append(s.workers, worker{"notices of revocations", s.db.Watch}, worker{"uses of keys", keys.Run})
	tokens := s.powerSyncTokens(powerSyncKeys)

	return papyrus.New(
		papyrus.Config{
			Options: s.options(s.papyrusOrigins), Prefix: s.cfg.APIPrefix, PublicBaseURL: s.cfg.PublicBaseURL, DataSyncURL: s.cfg.PowerSync.URL.String(),
			Accounts: accounts, Keys: keys, Flow: flow, PowerSync: tokens, PowerSyncKeys: powerSyncKeys,
			Audit: s.db, Events: s.db, Limiter: s.limiter, Auth: ratelimit.Limit(s.cfg.Limits.Auth), BodyLimit: s.cfg.Limits.Body,
			Uploads: s.uploads(), UploadMemory: s.cfg.Sync.UploadMemory, Library: s.db,
		},
		syncapi.Mount(s.sync(tokens)),
		supabaseapi.Mount(supabaseapi.Config{
			Accounts: accounts, Keys: keys, AccessKeys: accessKeys, Limiter: s.limiter, Auth: ratelimit.Limit(s.cfg.Limits.Auth),
			BodyLimit: s.cfg.Limits.Body, Version: version(), Log: s.log,
		}),
	), nil
}

func (s *services) accounts(accessKeys token.Ring) (*account.Service, error) {
	sessions, err := s.sessions()
	if err != nil {
		return nil, err
	}
	outbox, err := s.outbox()
	if err != nil {
		return nil, err
	}
	s.refusals = audit.NewRefusals(s.db, s.log)
	hasher := s.hasher()
	for _, b := range []bound.Bound{sessions.Bound(), s.refusals.Bound(), hasher.Bound()} {
		b.Register(s.metrics)
	}
	s.workers = append(s.workers, worker{"audit of refusals", s.refusals.Run})
	return account.New(account.Config{
		Store: s.db, Hasher: hasher, Policy: password.NewPolicy(s.cfg.PasswordProfile == config.PasswordNIST),
		Sessions: sessions, Tokens: token.NewAccessIssuer(accessKeys, s.issuer(), s.cfg.Tokens.AccessLifetime, time.Now),
		Refusals: s.refusals, Outbox: outbox, Plan: s.cfg.Tiers[0].Name, Now: time.Now, Log: s.log,
	}), nil
}

func (s *services) hasher() *password.Hasher {
	params := password.OWASP
	params.Memory, params.Time = uint32(s.cfg.Hashing.Memory), uint32(s.cfg.Hashing.Time) //nolint:gosec // G115: config bounds both
	budget := s.cfg.Hashing.Budget
	if budget == 0 {
		budget = password.Budget(params)
	}
	return password.NewHasher(params, budget)
}

func (s *services) sessions() (*session.Keeper, error) {
	key, err := s.generated(s.cfg.Tokens.RefreshKey, "refresh-token-key", randomSecret)
	if err != nil {
		return nil, err
	}
	return session.NewKeeper(session.Config{
		Store: s.db, Key: key, Sliding: s.cfg.Tokens.RefreshLifetime, Adopted: s.adopted, Feed: s.db, Now: time.Now,
	})
}

// outbox returns who sends the accounts' mail, nil where no mail server is configured.
func (s *services) outbox() (account.Outbox, error) {
	c := s.cfg.SMTP
	if c.Host == "" {
		return nil, nil //nolint:nilnil // no mail is no fault
	}
	transport, err := mail.NewSMTP(mail.SMTPConfig{
		Host: c.Host, Port: int(c.Port), Username: c.Username, Password: c.Password, FromEmail: c.FromEmail, FromName: c.FromName,
		TLS: mail.TLSMode(c.TLS),
	})
	if err != nil {
		return nil, fmt.Errorf("SMTP_HOST and those beside it: %w", err)
	}
	composer := account.NewComposer(s.db, s.cfg.AppURL.String(), time.Now)
	outbox := mail.NewOutbox(mail.OutboxConfig{
		Store: s.db, Composer: composer, Transport: transport, Now: time.Now, Log: s.log, Metrics: s.metrics,
	})
	s.workers = append(s.workers, worker{"mail", outbox.Run})
	return outbox, nil
}

// builtInRedirects are where the shipped apps wait for the end of a sign-in.
var builtInRedirects = []string{"papyrus://auth/callback", "http://localhost:43821/auth/callback"}

// providerFlow returns the way to the OpenID provider and back, nil where none is configured.
func (s *services) providerFlow() (*oidc.Flow, error) {
	p := s.cfg.Provider
	if p.ClientID == "" {
		return nil, nil //nolint:nilnil // no provider is no fault
	}
	allowed := slices.Concat(p.Redirects, builtInRedirects) // an error counts them
	for _, origin := range s.cfg.Origins.Papyrus {
		if !strings.Contains(origin, "*") { // who owns one label of a wildcard does not own the others
			allowed = append(allowed, origin+"/auth/callback")
		}
	}
	redirects, err := oidc.NewRedirects(allowed)
	if err != nil {
		return nil, fmt.Errorf("OAUTH_ALLOWED_REDIRECTS: %w", err)
	}
	provider := oidc.NewProvider(oidc.Config{
		Issuer: p.Issuer.String(), ClientID: p.ClientID, ClientSecret: p.ClientSecret,
		CallbackURL: s.cfg.PublicBaseURL.String() + s.cfg.APIPrefix + papyrus.CallbackPath, Transport: s.network(peerProvider, newNetwork()), Now: time.Now,
	})
	return oidc.NewFlow(provider, redirects, s.db, time.Now), nil
}

// accessKeys returns the keys of access tokens: the configured or generated one, and those that were rotated in after it.
func (s *services) accessKeys(sealer *seal.Sealer) (*token.Keystore, error) {
	newKey := func() (secret.Text, error) { return token.NewKey(token.Access) }
	pem, err := s.generated(s.cfg.Tokens.AccessKey, "access-token-key.pem", newKey)
	if err != nil {
		return nil, err
	}
	key, err := token.ParseKey(token.Access, "", pem)
	if err != nil {
		return nil, fmt.Errorf("ACCESS_JWT_PRIVATE_KEY: %w", err)
	}
	return token.NewKeystore(token.KeystoreConfig{
		Store: s.db, Sealer: sealer, Use: token.Access, TTL: s.cfg.Tokens.AccessLifetime, Base: &key, Now: time.Now,
	}), nil
}

// powerSyncKeys returns the keys of PowerSync tokens: the configured ones, or those of the database.
func powerSyncKeys(cfg *config.Config, db *store.DB, sealer *seal.Sealer) (*token.Keystore, error) {
	c := token.KeystoreConfig{Store: db, Sealer: sealer, Use: token.PowerSync, TTL: cfg.PowerSync.Lifetime, Now: time.Now}
	if pem := cfg.PowerSync.Key; pem.IsSet() {
		key, err := token.ParseKey(token.PowerSync, cfg.PowerSync.KeyID, pem)
		if err != nil {
			return nil, fmt.Errorf("POWERSYNC_JWT_PRIVATE_KEY: %w", err)
		}
		c.Base = &key
	}
	if pem := cfg.PowerSync.PreviousKey; pem != "" {
		key, err := token.ParsePublicKey(token.PowerSync, cfg.PowerSync.PreviousKeyID, pem)
		if err != nil {
			return nil, fmt.Errorf("POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY: %w", err)
		}
		c.Previous = &key
	}
	return token.NewKeystore(c), nil
}

// powerSyncTokens returns who issues PowerSync tokens, nil where the audience is set empty.
func (s *services) powerSyncTokens(keys token.Ring) *token.PowerSyncIssuer {
	if s.cfg.PowerSync.Audience == "" {
		return nil
	}
	return token.NewPowerSyncIssuer(keys, s.cfg.PublicBaseURL.String(), s.cfg.PowerSync.Audience, s.cfg.PowerSync.Lifetime, time.Now)
}
