package doctor

import (
	"context"
	"crypto/rsa"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/token"
)

// What a PowerSync Service asks of tokens and keys.
const (
	longestToken  = 24 * time.Hour // refused with PSYNC_S2104 beyond
	shortestToken = 2 * time.Minute
	leastRSA      = 2048
)

// powerSyncSettings finds what the service that POWERSYNC_SERVICE_URL names would refuse.
func powerSyncSettings(_ context.Context, in *Installation) []Finding {
	c := in.Config
	if !c.ExternalPowerSync() {
		return nil
	}
	var found []Finding
	if c.PowerSync.Audience == "" {
		found = append(found, failure("POWERSYNC_JWT_AUDIENCE", "is empty: devices get no tokens for the service of POWERSYNC_SERVICE_URL",
			"set it to one of client_auth.audience in service.yaml"))
	}
	switch life := c.PowerSync.Lifetime; {
	case life > longestToken:
		found = append(found, failure("POWERSYNC_TOKEN_EXPIRE_MINUTES", "is more than a day, which the service refuses", "set it to 5"))
	case life > 0 && life < shortestToken:
		found = append(found, notice("POWERSYNC_TOKEN_EXPIRE_MINUTES", "makes devices open their stream anew all the time", "set it to 5"))
	}
	if u := c.PublicBaseURL; u != nil && config.IsLoopback(u.Hostname()) && !config.IsLoopback(c.PowerSync.URL.Hostname()) {
		found = append(found, failure("PUBLIC_BASE_URL", "is this machine's alone: the service of POWERSYNC_SERVICE_URL cannot fetch the keys there",
			"set it to the address by which the service and devices reach papyrus"))
	}
	return found
}

// publishedKeys fetches the keys of PowerSync tokens as the service does.
func publishedKeys(ctx context.Context, in *Installation) []Finding {
	c := in.Config
	if !c.ExternalPowerSync() || c.PowerSync.Audience == "" {
		return nil
	}
	set, err := keysAt(ctx, in, jwksURL(c))
	if err != nil {
		return []Finding{failure("PUBLIC_BASE_URL", "has a key set ("+jwksURL(c)+") that "+err.Error(),
			"start papyrus, and see that the service reaches it by that address")}
	}
	found := judgeKeys(set)
	if id := configuredKey(c); id != "" && len(set.Key(id)) == 0 {
		found = append(found, failure("POWERSYNC_JWT_PRIVATE_KEY", "is not among the keys that papyrus publishes", "restart papyrus with it"))
	}
	return found
}

// jwksURL is where the keys of PowerSync tokens are.
func jwksURL(c *config.Config) string {
	return c.PublicBaseURL.JoinPath(c.APIPrefix, "auth/jwks").String()
}

// configuredKey returns the id of the configured key, "" for none.
func configuredKey(c *config.Config) string {
	if !c.PowerSync.Key.IsSet() {
		return ""
	}
	key, err := token.ParseKey(token.PowerSync, c.PowerSync.KeyID, c.PowerSync.Key)
	if err != nil {
		return "" // a fault of config
	}
	return key.ID
}

// judgeKeys finds keys that the service would pass over.
func judgeKeys(set jose.JSONWebKeySet) []Finding {
	const subject = "PUBLIC_BASE_URL"
	if len(set.Keys) == 0 {
		return []Finding{failure(subject, "publishes no keys", "start papyrus once: it makes one")}
	}
	var found []Finding
	for _, key := range set.Keys {
		public, ok := key.Key.(*rsa.PublicKey)
		switch {
		case !ok || key.Algorithm != string(jose.RS256):
			found = append(found, failure(subject, "publishes a key that is not one of RS256", "see what answers there"))
		case key.KeyID == "":
			found = append(found, failure(subject, "publishes a key without id (kid), by which the service finds it", "see what answers there"))
		case public.N.BitLen() < leastRSA:
			found = append(found, failure(subject, fmt.Sprintf("publishes an RSA key of %d bits", public.N.BitLen()), "provisioner jwks rotate"))
		}
	}
	return found
}

// replication finds what keeps the service from following the log, or the log from ending.
func replication(ctx context.Context, c *config.Config, db *store.DB) []Finding {
	r, err := db.Replication(ctx)
	if err != nil {
		return []Finding{unanswered(err)}
	}
	if !c.ExternalPowerSync() {
		return abandoned(r)
	}
	found := source(r)
	if len(r.Slots) == 0 {
		found = append(found, warning("POWERSYNC_SERVICE_URL", "has no replication slot in the database", "start the service, and look into its log"))
	}
	for _, slot := range r.Slots {
		switch {
		case slot.Lost:
			found = append(found, failure("POWERSYNC_SERVICE_URL", "has fallen too far behind: the slot "+slot.Name+" is lost",
				"drop the slot and restart the service, which then copies everything afresh; raise max_slot_wal_keep_size"))
		case !slot.Active:
			found = append(found, warning("POWERSYNC_SERVICE_URL", fmt.Sprintf("does not read its slot %s, for which %d MiB of log are kept", slot.Name, slot.Retained>>20),
				"start the service, or drop the slot if it is one from before"))
		}
	}
	return found
}

// abandoned finds the slot of a service that is not used any more.
func abandoned(r store.Replication) []Finding {
	var found []Finding
	for _, slot := range r.Slots {
		if !slot.Active {
			found = append(found, warning("DATABASE_URL", fmt.Sprintf("keeps %d MiB of log for the slot %s, which nobody reads", slot.Retained>>20, slot.Name),
				"SELECT pg_drop_replication_slot('"+slot.Name+"'), unless a PowerSync Service will read on"))
		}
	}
	return found
}

// source finds what config/powersync/source.sql and the server's settings were to bring about.
func source(r store.Replication) []Finding {
	const subject, again = "DATABASE_URL", "run config/powersync/source.sql"
	var found []Finding
	if r.WALLevel != "logical" {
		found = append(found, failure(subject, "has the wal_level "+r.WALLevel, "ALTER SYSTEM SET wal_level = logical, and restart Postgres"))
	}
	if r.Kept == "-1" {
		found = append(found, warning(subject, "keeps the log without end for a service that is down", "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB', or what the disk bears"))
	}
	if !r.Role {
		found = append(found, warning(subject, "has no role powersync_replication that may log in and replicate", again+", unless the service uses another"))
	}
	if !r.Published {
		return append(found, failure(subject, "has no publication powersync", again))
	}
	for _, table := range library.Tables {
		if !slices.Contains(r.Tables, table.Name) {
			found = append(found, failure(subject, "has a publication powersync without the table "+table.Name, again+" again"))
		}
	}
	return found
}

// private reports whether a host is one that a PowerSync Service refuses with block_local_jwks.
func private(ctx context.Context, host string) bool {
	if config.IsLoopback(host) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.Trim(host, "[]"))
	return err == nil && slices.ContainsFunc(addrs, func(a netip.Addr) bool {
		a = a.Unmap()
		return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
	})
}
