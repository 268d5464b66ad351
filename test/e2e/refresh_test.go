package e2e_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// accountsOnPostgres starts replicas of papyrus, one for each of the URLs of the database that they share, and returns them with
// their own base URLs.
func accountsOnPostgres(t *testing.T, databases ...string) (replicas []*program.Process, urls []string) {
	t.Helper()
	s := program.Settings{
		"SEAL_KEY": record.NewSecret("seal key"), "REFRESH_TOKEN_KEY": record.NewSecret("refresh token key"), "ACCESS_JWT_PRIVATE_KEY": program.NewAccessKey(t),
		"PUBLIC_BASE_URL": "https://accounts.example.com", "TIERS": `[{"name":"new","keys":3,"per_minute":1000000}]`,
	}
	for _, database := range databases {
		p := start(t, "papyrus", s.With(program.Settings{"DATABASE_URL": withPassword(t, database)}))
		replicas, urls = append(replicas, p), append(urls, p.URL("papyrus"))
	}
	return replicas, urls
}

// TestParallelRefreshes presents one refresh token many times at once: there is one successor and no fork, however many ask.
// A token older than the predecessor ends the session.
func TestParallelRefreshes(t *testing.T) {
	tests := []struct {
		name  string
		start func(t *testing.T) []string
	}{
		{"at one process on SQLite", func(t *testing.T) []string {
			t.Helper()
			return []string{start(t, "papyrus", nil).URL("papyrus")}
		}},
		{"at two replicas on Postgres", func(t *testing.T) []string {
			t.Helper()
			database := newPostgres(t).NewDatabase()
			_, urls := accountsOnPostgres(t, database, database)
			return urls
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			papyri := tt.start(t)
			for _, n := range []int{4, 1000} {
				r := register(t, papyri[0])
				first := r.refreshToken
				began := time.Now()
				second := refreshTogether(t, papyri, first, n)
				t.Logf("%d refreshes of one token at once: one successor after %v", n, time.Since(began).Round(time.Millisecond))
				third := refreshTogether(t, papyri, second, n)
				isReuse(t, papyri, r, first, third)
			}
		})
	}
}

// refreshTogether presents a token n times at once, and returns its successor.
func refreshTogether(t *testing.T, papyri []string, token string, n int) string {
	t.Helper()
	var outcomes, successors wire.Counter
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			a, err := refresh(papyri[i%len(papyri)], token)
			outcomes.Add(told(a, err))
			successors.Add(a.Member("refresh_token"))
		})
	}
	close(begin)
	all.Wait()
	if len(successors.Seen) != 1 || outcomes.Seen["200"] != n {
		t.Fatalf("%d refreshes of one token: %v, %d successors", n, outcomes.Seen, len(successors.Seen))
	}
	return slices.Collect(maps.Keys(successors.Seen))[0]
}

// isReuse checks that an old refresh token gives nothing and takes the session with it, whose current token is another.
func isReuse(t *testing.T, papyri []string, r *reader, old, current string) {
	t.Helper()
	if a := r.call(http.MethodGet, papyri[0]+"/v1/users/me", ""); a.Status != http.StatusOK {
		t.Errorf("before the reuse: %v", a)
	}
	for _, token := range []string{old, current} {
		if a := mustRefresh(t, papyri[0], token); nested(a) != "401 UNAUTHORIZED" {
			t.Errorf("after the reuse of a refresh token: %v", a)
		}
	}
	for _, papyrus := range papyri {
		program.Eventually(t, "the session has ended", func() bool {
			return nested(r.call(http.MethodGet, papyrus+"/v1/users/me", "")) == "401 SESSION_REVOKED"
		})
	}
}

// TestLostRefreshAnswers loses the answers of refreshes on their way: a client that tries again stays signed in.
func TestLostRefreshAnswers(t *testing.T) {
	p := start(t, "papyrus", nil)
	var lost atomic.Bool
	lossy := proxy(t, p.URL("papyrus"), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !lost.Load() {
			next.ServeHTTP(w, r)
			return
		}
		answered := httptest.NewRecorder()
		next.ServeHTTP(answered, r)
		record.Keep("refresh token", wire.Answer{Body: answered.Body.String()}.Member("refresh_token"))
		panic(http.ErrAbortHandler)
	})
	r := register(t, lossy)
	for range 5 {
		lost.Store(true)
		for range 3 {
			if a, err := refresh(lossy, r.refreshToken); err == nil {
				t.Fatalf("the answer is not lost: %v", a)
			}
		}
		lost.Store(false)
		r.take(mustRefresh(t, lossy, r.refreshToken), http.StatusOK)
		if a := r.call(http.MethodGet, lossy+"/v1/users/me", ""); a.Status != http.StatusOK {
			t.Fatalf("after a retry: %v", a)
		}
	}
}

// TestRefreshesWaitForPostgres refreshes at two replicas while their Postgres restarts, again and again: no refresh fails, for the
// shipped app would sign its user out.
func TestRefreshesWaitForPostgres(t *testing.T) {
	const readers, restarts = 16, 3
	server := newPostgres(t)
	database := server.NewDatabase()
	_, papyri := accountsOnPostgres(t, database, database)
	var ended atomic.Bool
	var done, stopped atomic.Int64
	var outcomes wire.Counter
	var all sync.WaitGroup
	var slowest slowest
	for i := range readers {
		r := register(t, papyri[i%2])
		all.Go(func() {
			for n := 0; !ended.Load(); n++ {
				began := time.Now()
				a, err := refresh(papyri[(i+n)%2], r.refreshToken)
				slowest.note(time.Since(began))
				outcomes.Add(told(a, err))
				done.Add(1)
				if err != nil || a.Status != http.StatusOK {
					stopped.Add(1)
					return
				}
				r.refreshToken = a.Member("refresh_token")
			}
		})
	}
	for range restarts {
		before := done.Load()
		program.Eventually(t, "refreshes get on", func() bool { return done.Load() > before+4*readers || stopped.Load() > 0 })
		server.Restart()
	}
	ended.Store(true)
	all.Wait()
	t.Logf("%d refreshes during %d restarts of Postgres: %v, the slowest in %v", done.Load(), restarts, outcomes.Seen, slowest.longest())
	if len(outcomes.Seen) != 1 || outcomes.Seen["200"] == 0 {
		t.Errorf("refreshes during restarts: %v", outcomes.Seen)
	}
}

// TestRefreshesOutliveAnOutage begins refreshes while Postgres is away for a time that a failover may take, and again for one
// that is too long to wait for.
func TestRefreshesOutliveAnOutage(t *testing.T) {
	const readers = 20
	tests := []struct {
		name   string
		outage time.Duration
		want   string
	}{
		{"of three seconds", 3 * time.Second, "200"},
		{"of eight seconds", 8 * time.Second, "503 SERVICE_UNAVAILABLE"},
	}
	server := newPostgres(t)
	database := server.NewDatabase()
	_, papyri := accountsOnPostgres(t, database, database)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var signedIn []*reader
			for i := range readers {
				signedIn = append(signedIn, register(t, papyri[i%2]))
			}
			server.Stop()
			began := time.Now()
			var outcomes wire.Counter
			var all sync.WaitGroup
			var slowest slowest
			for i, r := range signedIn {
				all.Go(func() {
					a, err := refresh(papyri[i%2], r.refreshToken)
					slowest.note(time.Since(began))
					outcomes.Add(told(a, err))
				})
			}
			<-time.After(tt.outage) // what is survived
			server.Start()
			all.Wait()
			t.Logf("%v, the slowest in %v", outcomes.Seen, slowest.longest())
			if outcomes.Seen[tt.want] != readers {
				t.Errorf("%d refreshes in an outage of %v: %v, want %s", readers, tt.outage, outcomes.Seen, tt.want)
			}
			for i, r := range signedIn { // the next try
				if a := mustRefresh(t, papyri[i%2], r.refreshToken); a.Status != http.StatusOK {
					t.Errorf("after the outage: %v", a)
				}
			}
		})
	}
}

// slowest remembers the longest of some times.
type slowest struct {
	mu   sync.Mutex
	took time.Duration
}

func (s *slowest) note(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = max(s.took, took)
}

func (s *slowest) longest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took.Round(time.Millisecond)
}
