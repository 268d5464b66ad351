package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/provisioner/provisioner/pkg/secret"
)

// check finds what no single setting shows.
func (l *loader) check() {
	l.checkKeyring()
	l.checkReceiver()
	l.checkOrigins()
	l.readKeyFiles()
	l.checkPostgres()
	l.checkPowerSync()
	l.checkKeyIDs()
	l.checkHashing()
	l.checkConnections()
	l.checkMail()
	l.checkProvider()
	l.checkBound()
	l.checkTraces()
}

// uses reports whether the service reads the setting.
func (l *loader) uses(name string) bool {
	row, _ := find(name)
	return row.users&l.config.Service != 0
}

// checkKeyring applies the rules of the contract's section 1.
func (l *loader) checkKeyring() {
	if !l.uses("SIGNING_KEYS") || l.bad["SIGNING_KEYS"] || l.bad["SHARED_SECRET"] {
		return
	}
	k := &l.config.Keyring
	switch {
	case len(k.Keys) > 0:
		l.checkKeys(k)
	case !k.Single() && l.config.Service != All:
		l.missing("SIGNING_KEYS")
	case k.ActiveID != "":
		l.warn(Fault{"ACTIVE_KEY_ID", "has no effect", "it names a key of SIGNING_KEYS, which is not set"})
	}
	if k.Single() {
		l.checkLength("SHARED_SECRET", k.Shared)
	}
	for _, id := range slices.Sorted(maps.Keys(k.Made)) {
		l.checkAge(k, id)
	}
}

func (l *loader) checkKeys(k *Keyring) {
	if k.Single() {
		k.Shared = secret.Text{} // never a fallback from one form to the other
		l.warn(Fault{"SHARED_SECRET", "is ignored", "SIGNING_KEYS is set too and alone counts; requests without key id are refused"})
	}
	for _, id := range slices.Sorted(maps.Keys(k.Keys)) {
		if !l.checkLength("SIGNING_KEYS", k.Keys[id]) {
			break
		}
	}
	switch _, known := k.Keys[k.ActiveID]; {
	case k.ActiveID == "" && l.config.Service != Receiver:
		l.missing("ACTIVE_KEY_ID")
	case k.ActiveID != "" && !known:
		row, _ := find("ACTIVE_KEY_ID")
		l.fault(Fault{row.name, "is not in SIGNING_KEYS (" + l.source(row.name) + ")", row.remedy()})
	}
}

func (l *loader) checkLength(name string, s secret.Text) bool {
	if s.Len() >= minSecretBytes || l.config.DevMode {
		return true
	}
	row, _ := find(name)
	l.fault(Fault{name, fmt.Sprintf("has a secret of fewer than %d bytes (%s)", minSecretBytes, l.source(name)), row.remedy()})
	return false
}

func (l *loader) checkAge(k *Keyring, id string) {
	const name = "KEY_ROTATION_DATES"
	if _, known := k.Keys[id]; !known {
		l.warn(Fault{name, fmt.Sprintf("names the key %q", id), "it is not in SIGNING_KEYS"})
	} else if age := l.now().Sub(k.Made[id]); age > maxKeyAge {
		l.warn(Fault{name, fmt.Sprintf("says that key %q is %d days old", id, age/day), "replace keys within 90 days"})
	}
}

// checkReceiver refuses plain http that leaves this host and cluster: the JWTs of users travel on it.
func (l *loader) checkReceiver() {
	f := l.config.Forward
	if f.URL == nil || f.URL.Scheme == "https" || f.AllowInsecure || StaysInside(f.URL) {
		return
	}
	l.fault(Fault{
		"RECEIVER_WORKER_URL", "is plain http (" + l.source("RECEIVER_WORKER_URL") + ")",
		"use https, or ALLOW_INSECURE_RECEIVER=true where the network is safe (--allow-insecure-receiver)",
	})
}

func (l *loader) checkOrigins() {
	l.warnExposed("ALLOWED_ORIGINS_JSON", l.config.Origins.Provisioning)
	l.warnExposed("CORS_ORIGINS", l.config.Origins.Papyrus)
}

func (l *loader) warnExposed(name string, origins []string) {
	for _, origin := range origins {
		if exposed(origin) {
			l.warn(Fault{name, "allows " + origin, "plain http can be read and changed on its way; use https"})
		}
	}
}

// checkPostgres requires what is generated beside an SQLite file: replicas must share it.
func (l *loader) checkPostgres() {
	if l.config.Database.Engine != Postgres {
		return
	}
	t := l.config.Tokens
	for _, need := range []struct {
		name  string
		value secret.Text
	}{
		{"SEAL_KEY", l.config.SealKey},
		{"REFRESH_TOKEN_KEY", t.RefreshKey},
		{"ACCESS_JWT_PRIVATE_KEY", t.AccessKey},
	} {
		if l.uses(need.name) && !need.value.IsSet() && !l.bad[need.name] && !l.bad[need.name+"_FILE"] {
			row, _ := find(need.name)
			l.fault(Fault{need.name, "is not set, which Postgres requires", row.remedy()})
		}
	}
}

// checkPowerSync refuses a PowerSync Service that would have nothing to replicate from.
func (l *loader) checkPowerSync() {
	if l.config.Database.Engine == SQLite && l.config.ExternalPowerSync() {
		l.fault(Fault{
			"POWERSYNC_SERVICE_URL", "names a PowerSync Service, which cannot replicate from SQLite",
			"set DATABASE_URL to postgres://…, or leave POWERSYNC_SERVICE_URL out for the embedded one",
		})
	}
}

// checkKeyIDs warns of ids without keys.
func (l *loader) checkKeyIDs() {
	p := l.config.PowerSync
	if p.KeyID != "" && !p.Key.IsSet() {
		l.warn(Fault{"POWERSYNC_JWT_KEY_ID", "has no effect", "it is the id of POWERSYNC_JWT_PRIVATE_KEY, which is not set"})
	}
	if p.PreviousKeyID != "" && p.PreviousKey == "" {
		l.warn(Fault{"POWERSYNC_JWT_PREVIOUS_KEY_ID", "has no effect", "it is the id of POWERSYNC_JWT_PREVIOUS_PUBLIC_KEY, which is not set"})
	}
}

// checkHashing warns of a budget that is exceeded by every hash.
func (l *loader) checkHashing() {
	h := l.config.Hashing
	if h.Budget > 0 && h.Budget < h.Memory {
		l.warn(Fault{"PASSWORD_MEMORY_BUDGET", "is less than one hash takes", "one at a time is made, in PASSWORD_HASH_MEMORY"})
	}
}

// checkConnections warns of streams that leave no connection to anything else.
func (l *loader) checkConnections() {
	if l.uses("SYNC_MAX_STREAMS") && !l.config.ExternalPowerSync() && l.config.Sync.MaxStreams >= l.config.Limits.Connections {
		l.warn(Fault{"MAX_CONNECTIONS", "is no more than SYNC_MAX_STREAMS", "streams could take every connection; set it to some thousands more"})
	}
}

// checkMail requires what a mail server alone does not say.
func (l *loader) checkMail() {
	m := l.config.SMTP
	if m.Host == "" {
		return
	}
	if m.FromEmail == "" {
		l.missing("SMTP_FROM_EMAIL")
	}
	if l.config.AppURL == nil && !l.bad["APP_PUBLIC_BASE_URL"] {
		l.missing("APP_PUBLIC_BASE_URL")
	}
	switch {
	case m.Username == "" && m.Password.IsSet():
		l.missing("SMTP_USERNAME")
	case m.Username != "" && !m.Password.IsSet() && !l.bad["SMTP_PASSWORD"]:
		l.missing("SMTP_PASSWORD")
	}
}

// checkProvider wants both halves of a client, and a base URL that cookies of a sign-in are safe on.
func (l *loader) checkProvider() {
	p := l.config.Provider
	switch {
	case p.ClientID == "" && !p.ClientSecret.IsSet():
		return
	case p.ClientID == "":
		l.missing("GOOGLE_OAUTH_CLIENT_ID")
	case !p.ClientSecret.IsSet():
		l.missing("GOOGLE_OAUTH_CLIENT_SECRET")
	}
	if base := l.config.PublicBaseURL; base != nil && base.Scheme != "https" && !IsLoopback(base.Hostname()) {
		l.fault(Fault{
			"PUBLIC_BASE_URL", "is plain http (" + l.source("PUBLIC_BASE_URL") + "), on which a sign-in with a provider could be stolen",
			"use https, or take GOOGLE_OAUTH_CLIENT_ID out",
		})
	}
	if issuer := p.Issuer; issuer != nil && issuer.Scheme != "https" && !IsLoopback(issuer.Hostname()) {
		l.fault(Fault{"OIDC_ISSUER", "is plain http (" + l.source("OIDC_ISSUER") + ")", "use https"})
	}
}

// checkBound warns of addresses that serve all does not use.
func (l *loader) checkBound() {
	for _, name := range []string{"RECEIVER_WORKER_URL", "SUPABASE_URL"} {
		if l.config.Service == All && l.given(name) {
			l.warn(Fault{name, "is ignored (" + l.source(name) + ")", "serve all joins its own services in the process"})
		}
	}
}

// checkTraces warns of credentials that can be read on their way, and of settings that wait for an endpoint.
func (l *loader) checkTraces() {
	t := l.config.Traces
	switch {
	case len(t.Headers) == 0:
	case t.Endpoint == nil && !l.bad["OTEL_EXPORTER_OTLP_ENDPOINT"]:
		l.warn(Fault{"OTEL_EXPORTER_OTLP_HEADERS", "has no effect", "it is for the collector of OTEL_EXPORTER_OTLP_ENDPOINT, which is not set"})
	case t.Endpoint != nil && t.Endpoint.Scheme != "https" && !StaysInside(t.Endpoint):
		l.warn(Fault{"OTEL_EXPORTER_OTLP_ENDPOINT", "is plain http", "OTEL_EXPORTER_OTLP_HEADERS can be read on the way; use https"})
	}
}
