package doctor_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/provisioner/provisioner/cmd/doctor"
	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/test/daemon"
	"github.com/provisioner/provisioner/test/postgres"
	"github.com/provisioner/provisioner/test/redis"
	"github.com/provisioner/provisioner/test/smtp"
)

// answering is a server whose clock is off by skew. It fails the test when a request carries a credential.
func answering(t *testing.T, status int, skew time.Duration, body any) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Authorization", "Apikey", "Cookie"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s was sent to %s", name, r.URL)
			}
		}
		w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	port, err := daemon.Port()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

func TestPeers(t *testing.T) {
	good := answering(t, http.StatusOK, 0, nil)
	for _, tt := range []struct {
		name, receiver, project string
		want                    []string
	}{
		{"both answer", good, good, nil},
		{"a project that wants a key first", good, answering(t, http.StatusUnauthorized, 0, nil), nil},
		{"nobody there", "http://" + nobody(t), good, []string{"error: RECEIVER_WORKER_URL cannot be reached"}},
		{"an ailing one", answering(t, http.StatusBadGateway, 0, nil), good, []string{"warning: RECEIVER_WORKER_URL answers 502"}},
		{"a redirect is not followed", answering(t, http.StatusFound, 0, nil), good, nil},
		{"a clock ahead", answering(t, http.StatusOK, 10*time.Minute, nil), good, []string{"error: RECEIVER_WORKER_URL has a clock that is 10m0s ahead of this machine's"}},
		{"a clock behind", good, answering(t, http.StatusOK, -30*time.Second, nil), []string{"warning: SUPABASE_URL has a clock that is 30s behind this machine's"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := load(t, config.Sender, settings{"RECEIVER_WORKER_URL": tt.receiver, "SUPABASE_URL": tt.project})
			found := doctor.Outside(t.Context(), in)
			for i := range found { // a second more or less
				found[i].Problem = strings.NewReplacer("9m59s", "10m0s", "9m58s", "10m0s", "29s", "30s", "28s", "30s").Replace(found[i].Problem)
			}
			wantFindings(t, found, tt.want, keyA)
		})
	}
}

func TestKeysOfTheProvider(t *testing.T) {
	rsaKey := key(t, 2048, "k1")
	for _, tt := range []struct {
		name     string
		changes  settings
		status   int
		keys     any
		findings []string
	}{
		{"there", nil, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{rsaKey}}, nil},
		{"none", nil, http.StatusOK, jose.JSONWebKeySet{}, []string{"error: SUPABASE_URL publishes no keys"}},
		{"not found", nil, http.StatusNotFound, nil, []string{"error: SUPABASE_URL has keys for JWT_VALIDATION=local that answers 404"}},
		{"something else", nil, http.StatusOK, "hello", []string{"error: SUPABASE_URL has keys for JWT_VALIDATION=local that answers something that is no key set"}},
		{"not needed beside a secret", settings{"SUPABASE_JWT_SECRET": keyC}, http.StatusNotFound, nil, nil},
		{"not needed where the provider is asked", settings{"JWT_VALIDATION": "remote"}, http.StatusNotFound, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes := settings{"JWT_VALIDATION": "local", "SUPABASE_URL": answering(t, tt.status, 0, tt.keys)}
			in := load(t, config.Receiver, over(changes, tt.changes))
			wantFindings(t, withoutNotices(doctor.Outside(t.Context(), in)), tt.findings)
		})
	}
}

func withoutNotices(found []doctor.Finding) []doctor.Finding {
	var rest []doctor.Finding
	for _, f := range found {
		if f.Severity != doctor.Notice {
			rest = append(rest, f)
		}
	}
	return rest
}

func key(t *testing.T, bits int, id string) jose.JSONWebKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k.Public(), KeyID: id, Algorithm: "RS256", Use: "sig"}
}

// TestPublishedKeys looks at the key set of PowerSync tokens as a service would.
func TestPublishedKeys(t *testing.T) {
	weak, nameless, other := key(t, 1024, "k1"), key(t, 2048, ""), key(t, 2048, "k1")
	other.Algorithm = "RS512"
	for _, tt := range []struct {
		name   string
		status int
		keys   any
		want   []string
	}{
		{"as it should be", http.StatusOK, []jose.JSONWebKey{key(t, 2048, "k1")}, nil},
		{"none", http.StatusOK, []jose.JSONWebKey{}, []string{"error: PUBLIC_BASE_URL publishes no keys"}},
		{"a short one", http.StatusOK, []jose.JSONWebKey{weak}, []string{"error: PUBLIC_BASE_URL publishes an RSA key of 1024 bits"}},
		{"one without id", http.StatusOK, []jose.JSONWebKey{nameless}, []string{"error: PUBLIC_BASE_URL publishes a key without id (kid)"}},
		{"one of another algorithm", http.StatusOK, []jose.JSONWebKey{other}, []string{"error: PUBLIC_BASE_URL publishes a key that is not one of RS256"}},
		{"out of order", http.StatusServiceUnavailable, nil, []string{"error: PUBLIC_BASE_URL has a key set (http"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := load(t, config.Papyrus, powerSync(settings{
				"PUBLIC_BASE_URL": answering(t, tt.status, 0, map[string]any{"keys": tt.keys}), "POWERSYNC_SERVICE_URL": answering(t, http.StatusOK, 0, nil),
				"REDIS_URL": "",
			}))
			in.Config.Database.Engine = "" // it has a test of its own
			wantFindings(t, doctor.Outside(t.Context(), in), tt.want)
		})
	}
}

func TestMailServer(t *testing.T) {
	server := smtp.Start(t)
	for _, tt := range []struct {
		name, host string
		port       int
		want       []string
	}{
		{"it greets", server.Host(), server.Port(), nil},
		{"nobody there", "127.0.0.1", port(t, nobody(t)), []string{"warning: SMTP_HOST cannot be reached"}},
		{"another kind of server", "127.0.0.1", port(t, redis.Start(t).Addr()), []string{"warning: SMTP_HOST cannot be reached"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := load(t, config.Papyrus, mail(settings{"SMTP_HOST": tt.host, "SMTP_PORT": strconv.Itoa(tt.port)}))
			wantFindings(t, withoutNotices(doctor.Outside(t.Context(), in)), tt.want, keyB)
		})
	}
}

func port(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRedis(t *testing.T) {
	server := redis.Start(t)
	for _, tt := range []struct {
		name, url string
		want      []string
	}{
		{"it answers", server.URL(), nil},
		{"nobody there", "redis://:" + keyD + "@" + nobody(t), []string{"warning: REDIS_URL does not answer"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := load(t, config.Papyrus, settings{"REDIS_URL": tt.url})
			wantFindings(t, withoutNotices(doctor.Outside(t.Context(), in)), tt.want, keyD)
		})
	}
}

func TestSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	in := load(t, config.Papyrus, settings{"DATABASE_URL": "sqlite:" + path})
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"notice: DATABASE_URL names a file that is not there yet"})

	db, err := in.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"notice: DATABASE_URL has a schema that is behind this program"})
	in.Config.Database.AutoMigrate = false
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"error: DATABASE_URL has a schema that is behind this program"})
	migrate(t, db)
	wantFindings(t, doctor.Outside(t.Context(), in), nil)
}

// migrate brings a database up to date and closes it.
func migrate(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPostgres walks an installation from an empty database to one that a PowerSync Service may follow.
func TestPostgres(t *testing.T) {
	server := postgres.StartServer(t, "wal_level=logical", "max_slot_wal_keep_size=1GB")
	url := server.NewDatabase()
	in := load(t, config.Papyrus, onPostgres(settings{"DATABASE_URL": url, "REDIS_URL": ""}))
	in.Config.Tokens.AccessKey = in.Config.SealKey // set; nobody signs here
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"notice: DATABASE_URL has a schema that is behind this program"})
	db, err := in.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	migrate(t, db)
	wantFindings(t, doctor.Outside(t.Context(), in), nil)

	in.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"error: DATABASE_URL has a clock that is 10m0s ahead of this machine's"})
	in.Now = time.Now

	external := func(answers string) *doctor.Installation {
		other := load(t, config.Papyrus, onPostgres(settings{"DATABASE_URL": url, "REDIS_URL": "", "POWERSYNC_SERVICE_URL": answers, "POWERSYNC_JWT_AUDIENCE": ""}))
		return other
	}
	service := answering(t, http.StatusOK, 0, nil)
	wantFindings(t, doctor.Outside(t.Context(), external(service)), []string{
		"warning: DATABASE_URL has no role powersync_replication that may log in and replicate",
		"error: DATABASE_URL has no publication powersync", "warning: POWERSYNC_SERVICE_URL has no replication slot in the database",
	})

	if out, err := server.Run(url, "../../config/powersync/source.sql"); err != nil {
		t.Fatal(err, out)
	}
	statement(t, server, url, `SELECT pg_create_logical_replication_slot('powersync_1_abc', 'pgoutput')`)
	wantFindings(t, doctor.Outside(t.Context(), external(service)), []string{"warning: POWERSYNC_SERVICE_URL does not read its slot powersync_1_abc"})
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"warning: DATABASE_URL keeps 0 MiB of log for the slot powersync_1_abc"})
	statement(t, server, url, `ALTER PUBLICATION powersync DROP TABLE books`)
	wantFindings(t, doctor.Outside(t.Context(), external(service)), []string{
		"error: DATABASE_URL has a publication powersync without the table books", "warning: POWERSYNC_SERVICE_URL does not read its slot powersync_1_abc",
	})
	server.Stop()
	wantFindings(t, doctor.Outside(t.Context(), in), []string{"error: DATABASE_URL does not answer"})
}

// TestPostgresThatKeepsNoLogicalLog is the server as Debian ships it.
func TestPostgresThatKeepsNoLogicalLog(t *testing.T) {
	url := postgres.NewDatabase(t)
	in := load(t, config.Papyrus, onPostgres(settings{
		"DATABASE_URL": url, "REDIS_URL": "", "POWERSYNC_SERVICE_URL": answering(t, http.StatusOK, 0, nil), "POWERSYNC_JWT_AUDIENCE": "",
	}))
	db, err := in.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	migrate(t, db)
	text := strings.Join(short(doctor.Outside(t.Context(), in)), "\n")
	for _, want := range []string{"error: DATABASE_URL has the wal_level replica", "warning: DATABASE_URL keeps the log without end"} {
		if !strings.Contains(text, want) {
			t.Errorf("no finding %q in\n%s", want, text)
		}
	}
}

// statement runs one statement as the operator does.
func statement(t *testing.T, server *postgres.Server, url, sql string) {
	t.Helper()
	if out, err := server.Run(url, write(t, filepath.Join(t.TempDir(), "statement.sql"), `\set ON_ERROR_STOP on`+"\n"+sql+";\n", 0o644)); err != nil {
		t.Fatal(err, out)
	}
}
