package cmd

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/provisioner/provisioner/pkg/token"
	"github.com/provisioner/provisioner/test/postgres"
)

// BenchmarkCapacity measures what docs/capacity.md calculates with: the processor time that one of a thing takes in the services and
// in Postgres, and its bytes on the disk of that. It wants a machine where no other Postgres runs.
func BenchmarkCapacity(b *testing.B) {
	access, err := token.NewKey(token.Access)
	if err != nil {
		b.Fatal(err)
	}
	url := postgres.NewDatabase(b)
	database, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = database.Close(context.WithoutCancel(b.Context())) })
	apis := newAllHandlers(b, map[string]string{
		"DATABASE_URL": url, "SEAL_KEY": strings.Repeat("s", 32), "REFRESH_TOKEN_KEY": strings.Repeat("r", 32),
		"ACCESS_JWT_PRIVATE_KEY": access.Reveal(), "TIERS": `[{"name":"new","keys":100000000,"per_minute":60}]`,
	})
	sender, papyrus := apis["sender"], apis["papyrus"]
	said := mustRegister(b, papyrus)
	jwt, _ := said["access_token"].(string)

	var n atomic.Int64
	for name, once := range map[string]func(*member){
		"event": func(*member) {
			call(b, sender, "/send", "", fmt.Sprintf(`{"userId":"u%d","action":"ping","sentAt":"2026-03-20T10:15:30.000Z"}`, n.Add(1)))
		},
		"key": func(*member) {
			call(b, sender, "/send", "", fmt.Sprintf(`{"action":"provision_api_key","jwt":%q,"name":"k%d","tier":"new"}`, jwt, n.Add(1)))
		},
		"sign-in": func(*member) { call(b, papyrus, "/v1/auth/login", "", benchLogin) },
		"refresh": func(m *member) {
			m.said = call(b, papyrus, "/v1/auth/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, m.said["refresh_token"]))
			call(b, papyrus, "/v1/auth/powersync-token", m.said["access_token"].(string), "")
		},
		"upload": func(m *member) { call(b, papyrus, "/v1/sync/powersync-upload", m.access(), fiveChanges(&n)) },
	} {
		b.Run(name, func(b *testing.B) { measureCosts(b, database, papyrus, once) })
	}
}

// member is an account that one of the callers is signed in to.
type member struct {
	said map[string]any
}

func (m *member) access() string { return m.said["access_token"].(string) }

// fiveChanges returns a batch of five changes, as a reader makes them.
func fiveChanges(n *atomic.Int64) string {
	const changes = 5
	var body bytes.Buffer
	body.WriteString(`{"batch":[`)
	for i := range changes {
		if i > 0 {
			body.WriteByte(',')
		}
		id := n.Add(1)
		fmt.Fprintf(&body, `{"op_id":%d,"tx_id":%d,"op":"PUT","type":"books","id":"00000000-0000-4000-8000-%012d","data":{"title":"A book of %d"}}`, id, id, id, id)
	}
	body.WriteString(`]}`)
	return body.String()
}

// measureCosts has as many callers as processors, each with an account, do a thing over and over.
func measureCosts(b *testing.B, database *pgx.Conn, papyrus http.Handler, once func(*member)) {
	b.Helper()
	callers := runtime.GOMAXPROCS(0)
	members := make(chan *member, callers)
	for i := range callers {
		email := fmt.Sprintf("%s-%d-%d@example.com", filepath.Base(b.Name()), b.N, i)
		members <- &member{call(b, papyrus, "/v1/auth/register", "",
			fmt.Sprintf(`{"email":%q,"password":%q,"display_name":"Reader"}`, email, benchPassword))}
	}
	b.ResetTimer()
	size := sizeOf(b, database)
	ours, theirs := ownCPU(b), postgresCPU(b)
	b.RunParallel(func(pb *testing.PB) {
		m := <-members
		for pb.Next() {
			once(m)
		}
		members <- m
	})
	ours, theirs = ownCPU(b)-ours, postgresCPU(b)-theirs
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "µs-services/op")
	b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "µs-postgres/op")
	b.ReportMetric(float64(sizeOf(b, database)-size)/float64(b.N), "B-postgres/op")
}

// sizeOf returns the bytes of a database's tables and indexes.
func sizeOf(b *testing.B, database *pgx.Conn) int64 {
	b.Helper()
	var size int64
	if err := database.QueryRow(b.Context(), `SELECT pg_database_size(current_database())`).Scan(&size); err != nil {
		b.Fatal(err)
	}
	return size
}

func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// postgresCPU returns the processor time of all processes of Postgres.
func postgresCPU(b *testing.B) time.Duration {
	b.Helper()
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	var used time.Duration
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(stat, []byte("(postgres)")) {
			continue // it has ended, or is none
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:])) // proc(5): from the third on
		for _, ticks := range fields[11:13] {
			n, err := strconv.ParseInt(ticks, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			used += time.Duration(n) * tick
		}
	}
	return used
}
