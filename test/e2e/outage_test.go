package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"testing"

	"github.com/provisioner/provisioner/test/postgres"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/redis"
	"github.com/provisioner/provisioner/test/wire"
)

const (
	terminate = syscall.SIGTERM
	reload    = syscall.SIGHUP
	interrupt = syscall.SIGINT
)

func newPostgres(t *testing.T) *postgres.Server { t.Helper(); return postgres.StartServer(t) }

// withPassword returns a database URL with a password in it, which a trusting server does not look at.
func withPassword(t testing.TB, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), record.NewSecret("database password"))
	return u.String()
}

// receiversOnPostgres starts two receivers that share a database.
func receiversOnPostgres(t *testing.T, database string) (program.Settings, []*program.Process) {
	t.Helper()
	s := program.Keyring("k1").With(program.WithoutIdentity()).With(program.Settings{
		"DATABASE_URL": withPassword(t, database), "SEAL_KEY": record.NewSecret("seal key"),
	})
	return s, []*program.Process{start(t, "receiver", s), start(t, "receiver", s)}
}

// outcome is the status and code of an answer, or how there was none.
func outcome(a wire.Answer, err error) string {
	switch {
	case err != nil:
		return "no answer"
	case a.Status == http.StatusOK:
		return "200"
	}
	return fmt.Sprintf("%d %s", a.Status, a.Member("code"))
}

func TestPostgresOutage(t *testing.T) {
	server := newPostgres(t)
	s, receivers := receiversOnPostgres(t, server.NewDatabase())
	receiver := receivers[0]
	sender := start(t, "sender", s.With(program.Settings{"RECEIVER_WORKER_URL": receiver.URL("receiver")}))
	if a := sign("k1", s.Key("k1"), wire.Event(0)).mustPost(t, receiver.URL("receiver")); a.Status != http.StatusOK {
		t.Fatalf("before: %v", a)
	}

	server.Stop()
	for i := range 50 {
		a := sign("k1", s.Key("k1"), wire.Event(1+i)).mustPost(t, receivers[i%2].URL("receiver"))
		if !a.Is(http.StatusServiceUnavailable, "STORE_UNAVAILABLE") || a.Header.Get("Retry-After") == "" {
			t.Fatalf("without Postgres: %v, Retry-After %q", a, a.Header.Get("Retry-After"))
		}
	}
	if a := mustPost(t, sender.URL("sender")+"/send", wire.Event(100)); !a.Is(http.StatusServiceUnavailable, "STORE_UNAVAILABLE") ||
		a.Header.Get("Retry-After") == "" {
		t.Errorf("without Postgres, through the sender: %v, Retry-After %q", a, a.Header.Get("Retry-After"))
	}
	program.Eventually(t, "/readyz of the receiver is 503", func() bool {
		a, err := get(receiver.URL("admin") + "/readyz")
		return err == nil && a.Status == http.StatusServiceUnavailable
	})
	if err := sender.Ready(); err != nil {
		t.Errorf("the sender has no store: %v", err)
	}

	server.Start()
	program.Eventually(t, "/readyz of the receiver is 200 again", func() bool { return receiver.Ready() == nil })
	if a := mustPost(t, sender.URL("sender")+"/send", wire.Event(101)); a.Status != http.StatusOK {
		t.Errorf("with Postgres again: %v", a)
	}
	stored := receiver.Events()
	if len(stored) != 2 || stored[wire.Event(0)] != 1 || stored[wire.Event(101)] != 1 {
		t.Errorf("stored: %v, want the events before and after", stored)
	}
}

// TestRedisOutage counts the requests of a client at two senders: together with Redis, each for itself without.
func TestRedisOutage(t *testing.T) {
	const limit = 10
	server := redis.Start(t)
	s := program.Keyring("k1").With(program.WithoutIdentity())
	receiver := start(t, "receiver", s)
	password := record.NewSecret("redis password") // which a server without passwords does not look at
	s = s.With(program.Settings{
		"RECEIVER_WORKER_URL": receiver.URL("receiver"), "RATE_LIMIT_SEND": strconv.Itoa(limit) + "/10m",
		"REDIS_URL": "redis://default:" + password + "@" + server.Addr() + "/0", "TRUSTED_PROXIES": "127.0.0.1",
	})
	senders := []*program.Process{start(t, "sender", s), start(t, "sender", s)}

	clients := 0
	newClient := func() string { clients++; return fmt.Sprintf("198.51.100.%d", clients) }
	// passed returns how many of so many requests of a client a sender lets through.
	passed := func(sender *program.Process, requests int, from string) int {
		t.Helper()
		n := 0
		for range requests {
			switch a := mustPost(t, sender.URL("sender")+"/send", wire.Event(clients), "X-Forwarded-For", from); {
			case a.Status == http.StatusOK:
				n++
			case !a.Is(http.StatusTooManyRequests, "RATE_LIMITED") || a.Header.Get("Retry-After") == "" || a.Header.Get("RateLimit-Limit") != "10":
				t.Errorf("%v, headers %v", a, a.Header)
			}
		}
		return n
	}

	client := newClient()
	if a, b := passed(senders[0], limit/2, client), passed(senders[1], limit, client); a+b != limit {
		t.Errorf("with Redis: %d + %d requests passed, want %d", a, b, limit)
	}
	server.Stop()
	for _, sender := range senders {
		if n := passed(sender, limit+5, "198.51.100.250"); n != limit {
			t.Errorf("without Redis: %d requests passed, want %d", n, limit)
		}
		if err := sender.Ready(); err != nil {
			t.Errorf("without Redis: %v", err)
		}
	}
	server.Start()
	program.Eventually(t, "two senders count together again", func() bool {
		client := newClient()
		return passed(senders[0], limit, client)+passed(senders[1], 1, client) == limit
	})
}
