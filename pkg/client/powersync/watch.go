package powersync

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often it is looked whether another process has changed the file.
const lookEvery = 200 * time.Millisecond

// Changes returns a channel that is sent to at once, and after each change of one of the tables (all, where none is named) by the app,
// the sync or another process. Changes that come faster than they are received become one. It is closed when ctx ends, or the database
// is closed.
func (db *DB) Changes(ctx context.Context, tables ...string) <-chan struct{} {
	return db.watch.subscribe(ctx, func(table string) bool {
		return slices.Contains(tables, table) || len(tables) == 0 && !strings.HasPrefix(table, "ps_")
	})
}

// ChangeCount returns how often a table was changed, by anybody, as tx sees it. Who remembers its rows may go on to while it is the same.
func ChangeCount(ctx context.Context, tx *sql.Tx, table string) (n int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce(max(n), 0) FROM ps_changes WHERE type = ?`, table).Scan(&n)
	return n, err
}

// watch tells subscribers which tables have changed. It asks a connection of its own, to which every commit is another's.
type watch struct {
	conn  *sql.Conn
	woken chan struct{}
	end   context.CancelFunc
	done  chan struct{}

	mu          sync.Mutex
	subscribers map[*subscriber]bool
	closed      bool

	syncedAt guarded[time.Time]

	version int64            // of the database; the following are only of the goroutine
	counts  map[string]int64 // of changes, by table
}

type subscriber struct {
	changed chan struct{}
	wants   func(table string) bool
}

func newWatch(ctx context.Context, db *DB) (*watch, error) {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	w := &watch{conn: conn, woken: make(chan struct{}, 1), end: end, done: make(chan struct{}), subscribers: map[*subscriber]bool{}}
	if err := w.look(ctx); err != nil {
		end()
		return nil, errors.Join(fmt.Errorf("watch: %w", err), conn.Close())
	}
	go w.run(background)
	return w, nil
}

func (w *watch) stop() {
	w.end()
	<-w.done
	_ = w.conn.Close() // gives it back to its pool, which closes it
}

func (w *watch) wake() { poke(w.woken) }

// poke sends to a channel that has room for one, unless it is there already.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	defer w.closeAll()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.woken:
		case <-ticker.C:
		}
		_ = w.look(ctx) // what it could not see now it sees the next time
	}
}

// look tells of what has changed since it was last called.
func (w *watch) look(ctx context.Context) error {
	var version int64
	if err := w.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil || version == w.version {
		return err
	}
	rows, err := w.conn.QueryContext(ctx, `SELECT type, n FROM ps_changes UNION ALL SELECT NULL, synced_at FROM ps_device`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	counts := map[string]int64{}
	var syncedAt time.Time
	for rows.Next() {
		var table sql.NullString
		var n int64
		if err := rows.Scan(&table, &n); err != nil {
			return err
		}
		switch {
		case !table.Valid && n > 0:
			syncedAt = time.UnixMicro(n)
		case table.Valid:
			counts[table.String] = n
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var changed []string
	for table, n := range counts {
		if w.counts[table] != n {
			changed = append(changed, table)
		}
	}
	w.version, w.counts = version, counts
	w.syncedAt.set(syncedAt)
	w.tell(changed...)
	return nil
}

func (w *watch) tell(changed ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.subscribers {
		if slices.ContainsFunc(changed, s.wants) {
			poke(s.changed)
		}
	}
}

func (w *watch) subscribe(ctx context.Context, wants func(table string) bool) <-chan struct{} {
	s := &subscriber{changed: make(chan struct{}, 1), wants: wants}
	s.changed <- struct{}{}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		close(s.changed)
		return s.changed
	}
	w.subscribers[s] = true
	context.AfterFunc(ctx, func() { w.unsubscribe(s) })
	return s.changed
}

func (w *watch) unsubscribe(s *subscriber) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.subscribers[s] {
		delete(w.subscribers, s)
		close(s.changed)
	}
}

func (w *watch) closeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for s := range w.subscribers {
		delete(w.subscribers, s)
		close(s.changed)
	}
}
