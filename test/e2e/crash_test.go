package e2e_test

import (
	"context"
	"database/sql"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the database beside the services

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// TestOneKeyPerIntent has 1,000 clients ask for the same key at once, and keeps killing the receiver meanwhile: first at
// the worst moment, while it waits for the key, then three times more.
func TestOneKeyPerIntent(t *testing.T) {
	tests := []struct {
		name      string
		header    []string
		keyIsMade bool // when the receiver is first killed
	}{
		{"without an idempotency key, killed before the answer with the new key comes", nil, true},
		{"with an idempotency key, killed before the key is made", []string{"Idempotency-Key", "the-laptop"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const clients, kills = 1000, 3
			worst := newGate("/api-keys-create", tt.keyIsMade)
			in := install(t, program.Keyring("k1"), worst.between(t), keepSignatures(t))
			request := signUp(t, in.sender.URL("sender")).KeyRequest("laptop")
			began := time.Now()
			asking := ask(t, clients, in.sender.URL("sender"), request, tt.header)

			<-worst.reached
			in.receiver.Kill()
			close(worst.opened)
			in.receiver.Start()
			for kill := range int64(kills) {
				program.Eventually(t, "clients get on", func() bool { return asking.successes.Load() >= 1+kill*clients/(kills+1) })
				in.receiver.Crash()
			}
			asking.all.Wait()
			t.Logf("%d clients, %d tries, %d kills, %v", clients, asking.tries.Load(), kills+1, time.Since(began).Round(time.Millisecond))

			if len(asking.tokens.Seen) != 1 {
				t.Errorf("%d different answers, want one token", len(asking.tokens.Seen))
			}
			for token := range asking.tokens.Seen {
				record.Keep("API key", token)
				if a := verifyKey(t, in.papyrus.URL("papyrus"), token); a.Status != http.StatusOK {
					t.Errorf("verify the key: %v", a)
				}
			}
			if n := rows(t, in.papyrus, "api_keys"); n != 1 {
				t.Errorf("%d rows in api_keys, want 1", n)
			}
		})
	}
}

// crowd is clients that all ask for the same key.
type crowd struct {
	all              sync.WaitGroup
	tries, successes atomic.Int64
	tokens           wire.Counter
}

// ask has so many clients send the request at once, each until it has its answer. It does not wait for them.
func ask(t *testing.T, clients int, sender, request string, header []string) *crowd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	c := &crowd{}
	for range clients {
		c.all.Go(func() {
			a, n, err := client.PostUntilOK(ctx, sender+"/send", request, header...)
			c.tries.Add(int64(n))
			if err != nil {
				t.Error(err)
				return
			}
			c.successes.Add(1)
			c.tokens.Add(a.Member("token"))
		})
	}
	t.Cleanup(func() { cancel(); c.all.Wait() })
	return c
}

// gate stops the first call of an endpoint of papyrus, before or after papyrus has done what it asks for, until it is opened.
type gate struct {
	reached, opened chan struct{}
	endpoint        string // the end of its path
	after           bool
	first           sync.Once
}

func newGate(endpoint string, after bool) *gate {
	return &gate{reached: make(chan struct{}), opened: make(chan struct{}), endpoint: endpoint, after: after}
}

// between is the gate in front of papyrus.
func (g *gate) between(t testing.TB) between {
	t.Helper()
	return func(papyrus string) string {
		return proxy(t, papyrus, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			mine := false
			if strings.HasSuffix(r.URL.Path, g.endpoint) {
				g.first.Do(func() { mine = true })
			}
			switch {
			case !mine:
				next.ServeHTTP(w, r)
			case g.after:
				made := httptest.NewRecorder()
				next.ServeHTTP(made, r)
				g.wait()
				maps.Copy(w.Header(), made.Header())
				w.WriteHeader(made.Code)
				_, _ = w.Write(made.Body.Bytes()) // nobody is there any more
			default:
				g.wait()
				panic(http.ErrAbortHandler) // the caller died before papyrus heard of it
			}
		})
	}
}

func (g *gate) wait() {
	close(g.reached)
	<-g.opened
}

// rows counts the rows of a table of p's SQLite database.
func rows(t *testing.T, p *program.Process, table string) int {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.Env["DATA_DIR"]+"/provisioner.db?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it was only read
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAcknowledgedEventsAreKept has 50 clients report 10,000 events while the receiver is killed five times.
func TestAcknowledgedEventsAreKept(t *testing.T) {
	const events, clients, kills = 10_000, 50, 5
	s := program.Keyring("k1").With(program.WithoutIdentity())
	receiver := start(t, "receiver", s)
	sender := start(t, "sender", s.With(program.Settings{"RECEIVER_WORKER_URL": receiver.URL("receiver")}))

	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var acknowledged, tries atomic.Int64
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		wire.Each(events, clients, func(i int) {
			a, n, err := client.PostUntilOK(ctx, sender.URL("sender")+"/send", wire.Event(i))
			tries.Add(int64(n))
			if err != nil || a.Body != `{"ok":true,"received":`+wire.Event(i)+`}` {
				t.Errorf("event %d: %v, %v", i, a, err)
				return
			}
			acknowledged.Add(1)
		})
	}()
	for kill := range int64(kills) {
		program.Eventually(t, "events are acknowledged", func() bool { return acknowledged.Load() > (kill+1)*events/(kills+1) })
		receiver.Crash()
	}
	<-done
	took := time.Since(began)
	t.Logf("%d events, %d tries, %d kills, %v: %.0f events a second",
		events, tries.Load(), kills, took.Round(time.Millisecond), events/took.Seconds())

	stored := receiver.Events()
	for i := range events {
		if n := stored[wire.Event(i)]; n != 1 {
			t.Errorf("event %d is stored %d times", i, n)
		}
	}
	if len(stored) != events {
		t.Errorf("%d different events are stored, want %d", len(stored), events)
	}
}

// TestReplaysAreRefused sends 10,000 signed requests twice at once, to two receivers on one Postgres.
func TestReplaysAreRefused(t *testing.T) {
	const requests, pairs = 10_000, 24
	s, receivers := receiversOnPostgres(t, newPostgres(t).NewDatabase())
	all := make([]signed, requests)
	for i := range all {
		all[i] = sign("k1", s.Key("k1"), wire.Event(i))
	}

	began := time.Now()
	var outcomes wire.Counter
	wire.Each(requests, pairs, func(i int) {
		var pair sync.WaitGroup
		var seen [2]string
		for n, receiver := range receivers {
			pair.Go(func() { seen[n] = outcome(all[i].post(receiver.URL("receiver"))) })
		}
		pair.Wait()
		slices.Sort(seen[:])
		outcomes.Add(strings.Join(seen[:], ", "))
	})
	took := time.Since(began)
	t.Logf("%d requests, each to two receivers: %v, %.0f a second", requests, outcomes.Seen, 2*requests/took.Seconds())
	if n := outcomes.Seen["200, 409 REPLAY_DETECTED"]; n != requests {
		t.Errorf("%d requests passed exactly once, want %d: %v", n, requests, outcomes.Seen)
	}

	receivers[0].Crash()
	receivers[1].Stop(terminate)
	receivers[1].Start()
	var later wire.Counter
	wire.Each(requests, 2*pairs, func(i int) {
		later.Add(outcome(all[i].post(receivers[i%2].URL("receiver"))))
	})
	if n := later.Seen["409 REPLAY_DETECTED"]; n != requests {
		t.Errorf("%d requests were refused after a restart, want %d: %v", n, requests, later.Seen)
	}
}
