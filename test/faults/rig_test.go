// Package faults_test runs the services as processes, in replicas behind balancers, and breaks what is around them while
// clients keep asking. Whatever breaks, a [ledger] tells afterwards whether what was acknowledged is there exactly once, and
// whether anything passed that must not.
package faults_test

import (
	"net"
	"os"
	"testing"

	"github.com/provisioner/provisioner/test/postgres"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/redis"
)

func TestMain(m *testing.M) { os.Exit(record.Run(m)) }

// system is two replicas of each service, which share a Postgres and a Redis. Each hears of the others by way of their balancer,
// and of the two servers by way of a link.
type system struct {
	t                          testing.TB
	settings                   program.Settings // of all
	postgres                   *postgres.Server
	database                   string // its URL, past the link
	redis                      *redis.Server
	toPostgres, toRedis        *link
	wire                       *passage // to toPostgres
	senders, receivers, papyri *balancer
}

// newSystem starts a system with changes to its settings, until t ends.
func newSystem(t testing.TB, changes program.Settings) *system {
	t.Helper()
	s := &system{t: t, postgres: postgres.StartServer(t), redis: redis.Start(t)}
	s.database = s.postgres.NewDatabase()
	s.toPostgres, s.toRedis = newLink(t, hostOf(t, s.database)), newLink(t, s.redis.Addr())
	s.wire = newPassage(t, func() (net.Conn, error) { return net.Dial("tcp", s.toPostgres.proxy.Listen) })
	s.senders, s.receivers, s.papyri = newBalancer(t), newBalancer(t), newBalancer(t)
	s.settings = program.Keyring("k1").With(program.Settings{
		"DATABASE_URL": by(t, s.wire.addr(), s.database), "REDIS_URL": by(t, s.toRedis.proxy.Listen, s.redis.URL()),
		"SEAL_KEY": record.NewSecret("seal key"), "REFRESH_TOKEN_KEY": record.NewSecret("refresh token key"),
		"ACCESS_JWT_PRIVATE_KEY": program.NewAccessKey(t), "SUPABASE_ANON_KEY": record.NewSecret("anon key"),
		"SUPABASE_URL": s.papyri.url(), "RECEIVER_WORKER_URL": s.receivers.url(), "PUBLIC_BASE_URL": "https://accounts.example.com",
		"TRUSTED_PROXIES": "127.0.0.1", "TIERS": `[{"name":"new","keys":1000000,"per_minute":1000000}]`,
		"LOG_LEVEL": "warn", "RATE_LIMIT_SEND": "1000000/1m", "RATE_LIMIT_AUTH": "1000000/1m",
	}).With(changes)
	for service, balancer := range map[string]*balancer{"papyrus": s.papyri, "receiver": s.receivers, "sender": s.senders} {
		for range 2 {
			balancer.add(program.Start(t, service, s.settings))
		}
	}
	s.awaitReady()
	return s
}

// service returns the balancer of a service.
func (s *system) service(name string) *balancer {
	return map[string]*balancer{"sender": s.senders, "receiver": s.receivers, "papyrus": s.papyri}[name]
}

// awaitReady returns when every replica of every service is ready.
func (s *system) awaitReady() {
	s.t.Helper()
	for _, b := range []*balancer{s.papyri, s.receivers, s.senders} {
		for _, backend := range b.backends {
			program.Eventually(s.t, "every "+backend.Service+" is ready", func() bool { return backend.Ready() == nil })
		}
	}
}
