package faults_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// ledger is what clients were told. Its methods are safe for concurrent use.
type ledger struct {
	mu       sync.Mutex
	requests int            // tries included
	failed   int            // of these, those without an answer or with a status from 500 on
	outcomes map[string]int // of the failed: "503 STORE_UNAVAILABLE", "no answer"
	faults   []string       // answers that no fault excuses
	slowest  time.Duration
	last     time.Time // when the last of the failures was

	minted       map[string]map[string]bool // the ids of keys that clients were given, by the name they asked under
	acknowledged map[string]bool            // bodies of events
	uploaded     map[string]bool            // ids of books
}

func newLedger() *ledger {
	return &ledger{
		outcomes: map[string]int{}, minted: map[string]map[string]bool{},
		acknowledged: map[string]bool{}, uploaded: map[string]bool{},
	}
}

// note counts a try that ended now, with "200" for a success.
func (l *ledger) note(outcome string, failed bool, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.slowest = max(l.slowest, took)
	if failed {
		l.failed++
		l.last = time.Now()
		l.outcomes[outcome]++
	}
}

// fault notes an answer that no fault excuses.
func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// tell writes under the lock.
func (l *ledger) tell(write func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	write()
}

// counts returns how many tries there were so far, and how many of them failed.
func (l *ledger) counts() (requests, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, l.failed
}

// lastAfter returns how long after a time the last failure was, 0 if there was none since.
func (l *ledger) lastAfter(began time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.last.Sub(began), 0).Round(time.Millisecond)
}

// check compares the ledger with a database, "postgres://…" or the path of a SQLite file: what was acknowledged is there once, and
// nothing is there twice.
func (l *ledger) check(t testing.TB, database string) {
	t.Helper()
	body := `convert_from(body, 'UTF8')`
	if filepath.IsAbs(database) {
		body = `CAST(body AS text)`
	}
	count := func(query string) map[string]int { return counts(t, database, query) }
	l.mu.Lock()
	defer l.mu.Unlock()

	for _, f := range l.faults[:min(len(l.faults), 10)] {
		t.Errorf("%d faults: %s", len(l.faults), f)
	}
	l.compare(t, "event", l.acknowledged, count(`SELECT `+body+`, count(*) FROM events GROUP BY body`))
	l.compare(t, "book", l.uploaded, count(`SELECT CAST(book_id AS text), count(*) FROM books GROUP BY book_id`))
	l.compare(t, "key", keysOf(l.minted), count(`SELECT name, count(*) FROM api_keys GROUP BY name`))
	ids := count(`SELECT name || ' ' || CAST(key_id AS text), count(*) FROM api_keys GROUP BY name, key_id`)
	for name, given := range l.minted {
		if len(given) != 1 {
			t.Errorf("the intent %s was given %d different keys", name, len(given))
		}
		for id := range given {
			if ids[name+" "+id] != 1 {
				t.Errorf("the key %s that the intent %s was given is not there", id, name)
			}
		}
	}
	t.Logf("%d requests, %d of them failed %v, the slowest took %v; acknowledged: %d events, %d keys, %d uploads, each there once",
		l.requests, l.failed, l.outcomes, l.slowest.Round(time.Millisecond), len(l.acknowledged), len(l.minted), len(l.uploaded))
}

// compare reports what is not there once.
func (l *ledger) compare(t testing.TB, what string, acknowledged map[string]bool, there map[string]int) {
	t.Helper()
	lost, twice := 0, 0
	for key := range acknowledged {
		if there[key] == 0 {
			lost++
		}
	}
	for _, n := range there {
		if n > 1 {
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("%ss: %d acknowledged ones are lost, %d are there more than once", what, lost, twice)
	}
}

func keysOf[V any](m map[string]V) map[string]bool {
	keys := map[string]bool{}
	for key := range m {
		keys[key] = true
	}
	return keys
}

// counts asks a database for texts and their numbers.
func counts(t testing.TB, database, query string) map[string]int {
	t.Helper()
	driver := "pgx"
	if filepath.IsAbs(database) {
		driver, database = "sqlite", "file:"+database+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it was only read
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // it was read to its end
	found := map[string]int{}
	for rows.Next() {
		var text string
		var n int
		if err := rows.Scan(&text, &n); err != nil {
			t.Fatal(err)
		}
		found[text] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
