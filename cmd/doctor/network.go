package doctor

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/secret"
)

// listening are the addresses of the services that the installation runs, by setting.
func listening(in *Installation) map[string]string {
	all := map[string]string{}
	for _, l := range []struct {
		service config.Service
		setting string
		addr    string
	}{
		{config.Sender, "SENDER_ADDR", in.Config.Addr.Sender},
		{config.Receiver, "RECEIVER_ADDR", in.Config.Addr.Receiver},
		{config.Papyrus, "PAPYRUS_ADDR", in.Config.Addr.Papyrus},
	} {
		if in.serves(l.service) && l.addr != "" {
			all[l.setting] = l.addr
		}
	}
	return all
}

// reachable returns a setting by which others than this machine reach a service, "" for none.
func reachable(in *Installation) string {
	addrs := listening(in)
	for _, setting := range []string{"SENDER_ADDR", "RECEIVER_ADDR", "PAPYRUS_ADDR"} {
		if addr, ok := addrs[setting]; ok && !local(addr) {
			return setting
		}
	}
	if u := in.Config.PublicBaseURL; u != nil && !config.IsLoopback(u.Hostname()) {
		return "PUBLIC_BASE_URL"
	}
	return ""
}

// local reports whether an address to listen on is this machine's alone.
func local(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && config.IsLoopback(host)
}

// developmentMode is for one machine.
func developmentMode(_ context.Context, in *Installation) []Finding {
	setting := reachable(in)
	if !in.Config.DevMode || setting == "" {
		return nil
	}
	return []Finding{failure("DEV_MODE", "eases the rules on secrets, and "+setting+" lets others reach them", "take DEV_MODE out")}
}

// wideOrigins finds wildcards: whoever gets hold of one name under them calls as the app.
func wideOrigins(_ context.Context, in *Installation) []Finding {
	var found []Finding
	for _, list := range []struct {
		setting string
		origins []string
	}{
		{"ALLOWED_ORIGINS_JSON", in.Config.Origins.Provisioning}, {"CORS_ORIGINS", in.Config.Origins.Papyrus},
	} {
		for _, origin := range list.origins {
			if strings.Contains(origin, "*") {
				found = append(found, notice(list.setting, "allows "+origin, "name each origin, unless every name there is yours"))
			}
		}
	}
	return found
}

// plainConnections finds what others on the way can read. The receiver's plain http without leave is one of config's faults.
func plainConnections(_ context.Context, in *Installation) []Finding {
	c := in.Config
	var found []Finding
	if c.Forward.AllowInsecure && plain(c.Forward.URL) {
		found = append(found, warning("RECEIVER_WORKER_URL", "is plain http outside this host and cluster, with leave (ALLOW_INSECURE_RECEIVER)",
			"use https: the JWTs of users travel on it"))
	}
	if plain(c.Supabase.URL) {
		found = append(found, failure("SUPABASE_URL", "is plain http outside this host and cluster", "use https: passwords travel on it"))
	}
	for _, seen := range []struct {
		setting string
		url     *url.URL
	}{
		{"PUBLIC_BASE_URL", c.PublicBaseURL}, {"APP_PUBLIC_BASE_URL", c.AppURL}, {"POWERSYNC_SERVICE_URL", c.PowerSync.URL},
	} {
		if u := seen.url; u != nil && u.Scheme == "http" && !config.IsLoopback(u.Hostname()) {
			found = append(found, warning(seen.setting, "is plain http outside this machine", "use https: devices send passwords and tokens to it"))
		}
	}
	return append(found, plainServers(c)...)
}

// plain reports whether u is http that leaves this host and cluster.
func plain(u *url.URL) bool { return u != nil && u.Scheme == "http" && !config.StaysInside(u) }

// plainServers is plainConnections of databases and mail.
func plainServers(c *config.Config) []Finding {
	var found []Finding
	if c.Database.Engine == config.Postgres && leaves(c.Database.URL) && !encrypts(c.Database.URL) {
		found = append(found, warning("DATABASE_URL", "lets the connection be without TLS, outside this host and cluster", "add sslmode=verify-full"))
	}
	if c.RedisURL.IsSet() && strings.HasPrefix(c.RedisURL.Reveal(), "redis://") && leaves(c.RedisURL) {
		found = append(found, warning("REDIS_URL", "is without TLS, outside this host and cluster", "use rediss://"))
	}
	mail := &url.URL{Host: net.JoinHostPort(c.SMTP.Host, "")}
	if c.SMTP.Host != "" && c.SMTP.TLS == "none" && !config.StaysInside(mail) {
		found = append(found, failure("SMTP_TLS", "is none for a mail server outside this host and cluster: links that reset passwords can be read on their way",
			"use starttls or tls"))
	}
	return found
}

// leaves reports whether one of the hosts of a URL, of which there may be several, is outside this host and cluster.
func leaves(u secret.Text) bool {
	authority := authorityOf(u)
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	for host := range strings.SplitSeq(authority, ",") {
		one, err := url.Parse("http://" + host)
		if host != "" && (err != nil || !config.StaysInside(one)) {
			return true
		}
	}
	return false
}

// encrypts reports whether a Postgres URL insists on TLS.
func encrypts(u secret.Text) bool {
	_, query, _ := strings.Cut(u.Reveal(), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	switch values.Get("sslmode") {
	case "require", "verify-ca", "verify-full":
		return true
	}
	return false
}

// openDoors finds limits that count nobody, and an admin listener that anybody may find.
func openDoors(_ context.Context, in *Installation) []Finding {
	c := in.Config
	var found []Finding
	for _, network := range c.TrustedProxies {
		if everybody(network) {
			found = append(found, failure("TRUSTED_PROXIES", "believes everybody ("+network.String()+"): a client that makes up addresses is never limited",
				"name the addresses of your load balancer alone"))
		}
	}
	for _, setting := range []string{"RATE_LIMIT_AUTH", "RATE_LIMIT_SEND"} {
		if reachable(in) != "" && valueOf(in, setting) == "off" {
			found = append(found, warning(setting, "is off", "set a rate, such as 100/10m, unless a proxy before it limits clients"))
		}
	}
	if c.Addr.Admin != "" && !local(c.Addr.Admin) {
		found = append(found, notice("ADMIN_ADDR", "is reachable from other machines", "see that only probes and metrics reach it"))
	}
	return found
}

// everybody reports whether a network is so wide that no proxy can be meant.
func everybody(p netip.Prefix) bool {
	const widest = 8 // 10.0.0.0/8
	return p.Bits() < widest
}

// valueOf returns a setting as it is shown, "" for one that the service does not read.
func valueOf(in *Installation, setting string) string {
	for _, v := range in.Report.Values() {
		if v.Name == setting {
			return v.Value
		}
	}
	return ""
}

// replicas finds what several processes on one Postgres would not share.
func replicas(_ context.Context, in *Installation) []Finding {
	c := in.Config
	if c.Database.Engine != config.Postgres {
		return nil
	}
	var found []Finding
	if c.Service == config.All && !c.Keyring.IsSet() {
		found = append(found, notice("SIGNING_KEYS", "is not set: each process signs with a key of its own DATA_DIR",
			"set it before you run sender and receiver apart"))
	}
	if in.serves(config.Papyrus) && !c.RedisURL.IsSet() {
		found = append(found, notice("REDIS_URL", "is not set: each replica counts rate limits by itself", "set it if you run several"))
	}
	return found
}
