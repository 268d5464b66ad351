package powersync

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"modernc.org/sqlite"
)

// ErrCleared is returned by a DB whose file another process has cleared since it was opened, as at a sign-out. Nothing more is read from
// the queue or written: what is in the file now may be another user's.
var ErrCleared = errors.New("the database was cleared by another process")

const (
	readers     = 4
	busyTimeout = 30 * time.Second // how long one process waits for another's transaction
)

// DB is a database on this device. Its methods are safe for concurrent use.
type DB struct {
	write, sync, read *sql.DB // of the app, of what the service sends, and of both
	path              string
	schema            Schema
	clientID          string
	http              *http.Client
	backoff           backoff
	encoding          string
	contentSums       bool
	wrap              func(driver.Connector) driver.Connector // of tests
	now               func() time.Time

	epoch  guarded[int64] // of the data that this DB was opened with
	oplog  *oplog
	watch  *watch
	status guarded[Status]

	writing    turns      // one is held in a transaction that writes: SQLite would have one of two wait, and look again only after a while
	connecting sync.Mutex // held while syncing changes
	syncing    *syncer    // nil while disconnected
}

// Option changes a default of a DB.
type Option func(*DB)

// WithHTTPClient replaces the client that reaches the service. It must not limit how long an answer takes: the stream is one. Connections
// that it keeps idle are closed with the DB.
func WithHTTPClient(h *http.Client) Option { return func(db *DB) { db.http = h } }

// WithRetry sets how long to wait after failures: about first after one, twice as long after each more, at most longest. The defaults
// are half a second and half a minute.
func WithRetry(first, longest time.Duration) Option {
	return func(db *DB) { db.backoff = backoff{first, longest} }
}

// WithLines asks for the stream as lines of JSON instead of BSON.
func WithLines() Option { return func(db *DB) { db.encoding = ndjsonType } }

// WithContentChecksums verifies not only that the operations of a bucket add up, as the protocol asks, but also that each row is the one
// its checksum was made of, and each removal, unless the service names rows in its own way (by a subkey). Services whose checksums are
// made in another way than PowerSync's own, SHA-256 of what the operation says, would be refused for ever.
func WithContentChecksums() Option { return func(db *DB) { db.contentSums = true } }

// Open opens the file at path, which it makes, readable by its owner alone, where there is none.
func Open(ctx context.Context, path string, schema Schema, options ...Option) (*DB, error) {
	if err := schema.check(); err != nil {
		return nil, err
	}
	db := &DB{
		path: path, schema: schema, writing: make(turns, 1), http: streamingClient(), backoff: backoff{500 * time.Millisecond, 30 * time.Second},
		encoding: bsonType + ";q=0.9," + ndjsonType + ";q=0.8", now: time.Now, wrap: func(c driver.Connector) driver.Connector { return c },
	}
	for _, option := range options {
		option(db)
	}
	if err := db.open(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) error {
	path, err := filepath.Abs(db.path)
	if err != nil {
		return err
	}
	db.path = path
	if err := createPrivate(path); err != nil {
		return err
	}
	err = db.openPools()
	if err == nil {
		err = db.prepareFile(ctx)
	}
	if err == nil {
		db.oplog, err = newOplog(ctx, db)
	}
	if err == nil {
		db.watch, err = newWatch(ctx, db)
	}
	if err != nil {
		return errors.Join(err, db.closePools())
	}
	return nil
}

func (db *DB) openPools() (err error) {
	for _, p := range []struct {
		into     **sql.DB
		settings url.Values
		size     int
	}{
		{&db.write, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"}}, 1},
		{&db.sync, url.Values{"_txlock": {"immediate"}, "_synchronous": {"NORMAL"}}, 1},
		{&db.read, url.Values{"_query_only": {"true"}}, readers},
	} {
		if *p.into, err = db.pool(p.settings, p.size); err != nil {
			return err
		}
	}
	return nil
}

// prepareFile brings the file in line with the schema, and learns whose client it is.
func (db *DB) prepareFile(ctx context.Context) error {
	var epoch int64
	err := transact(ctx, db.write, nil, func(tx *sql.Tx) error {
		if err := install(ctx, tx, db.schema, uuid.NewString()); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT client_id, epoch FROM ps_device`).Scan(&db.clientID, &epoch)
	})
	db.epoch.set(epoch)
	return err
}

func (db *DB) closePools() error {
	var errs []error
	for _, pool := range []*sql.DB{db.write, db.sync, db.read} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// createPrivate makes an empty file that only its owner may read, and its directory, unless they exist. SQLite gives the files that it
// makes beside it the same mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: the app chooses the file
	if err != nil {
		return err
	}
	return f.Close()
}

// pool opens connections to the file. What the app commits is on the disk before that returns, on macOS too, whose disks keep what they are
// only told to write; what the service sent can be sent again. What is deleted is overwritten: a crash in [DB.Clear] leaves nothing either.
func (db *DB) pool(settings url.Values, size int) (*sql.DB, error) {
	query := url.Values{
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_dqs":          {"false"}, // "text" in double quotes is a name
		"_error_rc":     {"true"},
		"_pragma": {
			"cache_size(-4096)", "wal_autocheckpoint(4000)", "journal_size_limit(16777216)", "temp_store(2)", "secure_delete(ON)", "fullfsync(ON)",
		},
	}
	maps.Copy(query, settings)
	opened, err := sqlite.NewConnector(fileURL(filepath.ToSlash(db.path), query))
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(db.wrap(opened))
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

// fileURL is SQLite's address of a file (sqlite.org/uri.html). The path is absolute, with slashes: "/home/ada/app.db", "C:/Ada/app.db".
func fileURL(path string, query url.Values) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // or "C:" would be a host
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// Close disconnects and closes the file.
func (db *DB) Close() error {
	db.Disconnect()
	db.http.CloseIdleConnections()
	db.watch.stop()
	return db.closePools()
}

// Write runs work in a transaction, which is kept if work returns nil. What it does to the views of synced tables is queued, to be
// uploaded as one transaction. Work must not call Write.
func (db *DB) Write(ctx context.Context, work func(tx *sql.Tx) error) error {
	return db.change(ctx, db.write, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE ps_device SET tx_id = tx_id + 1`); err != nil {
			return err
		}
		return work(tx)
	})
}

// change runs work in a transaction of the pool, unless the database was cleared meanwhile, and wakes those who watch.
func (db *DB) change(ctx context.Context, pool *sql.DB, work func(tx *sql.Tx) error) error {
	return db.transact(ctx, pool, func(tx *sql.Tx) error {
		if err := db.checkEpoch(ctx, tx); err != nil {
			return err
		}
		return work(tx)
	})
}

func (db *DB) transact(ctx context.Context, pool *sql.DB, work func(tx *sql.Tx) error) error {
	if err := db.writing.take(ctx); err != nil {
		return err
	}
	defer db.writing.give()
	if err := transact(ctx, pool, nil, work); err != nil {
		return err
	}
	db.watch.wake()
	return nil
}

// Read runs work in a transaction that sees one state of the database, and cannot change it.
func (db *DB) Read(ctx context.Context, work func(tx *sql.Tx) error) error {
	return transact(ctx, db.read, &sql.TxOptions{ReadOnly: true}, work)
}

func transact(ctx context.Context, pool *sql.DB, options *sql.TxOptions, work func(tx *sql.Tx) error) error {
	tx, err := pool.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (db *DB) checkEpoch(ctx context.Context, tx *sql.Tx) error {
	var epoch int64
	if err := tx.QueryRowContext(ctx, `SELECT epoch FROM ps_device`).Scan(&epoch); err != nil {
		return err
	}
	if epoch != db.epoch.get() {
		return ErrCleared
	}
	return nil
}

// Clear disconnects, and deletes every row of every table, the queue, and all that was synced, so that the file does not hold it any
// more. The numbers of transactions and mutations go on, so that the server never takes a new one for an old one.
func (db *DB) Clear(ctx context.Context) error {
	db.Disconnect()
	var epoch int64
	err := db.transact(ctx, db.write, func(tx *sql.Tx) (err error) {
		epoch, err = clearAll(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	db.epoch.set(epoch)
	return db.overwrite(ctx)
}

// overwrite leaves nothing in the file, nor in the log beside it, that is in no table any more.
func (db *DB) overwrite(ctx context.Context) error {
	if _, err := db.write.ExecContext(ctx, `VACUUM`); err != nil {
		return err
	}
	var busy bool
	var inLog, moved int
	err := db.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &inLog, &moved)
	if err == nil && busy {
		err = errors.New("all rows are deleted, but another process that reads them keeps the file from being overwritten")
	}
	return err
}

// clearAll returns the epoch that begins.
func clearAll(ctx context.Context, tx *sql.Tx) (epoch int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'ps\_data\_\_%' ESCAPE '\'`)
	if err != nil {
		return 0, err
	}
	tables, err := texts(rows)
	if err != nil {
		return 0, err
	}
	for _, table := range append(tables, "ps_crud", "ps_buckets", "ps_oplog", "ps_stale") {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %q`, table)); err != nil {
			return 0, err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE ps_changes SET n = n + 1`); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `UPDATE ps_device SET epoch = epoch + 1, target = 0, seen = 0, applied = 0, synced_at = 0 RETURNING epoch`).Scan(&epoch)
	return epoch, err
}

// turns let as many go on at once as there is room for, in the order of their coming.
type turns chan struct{}

func (t turns) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turns) give() { <-t }

// guarded is a value behind a lock.
type guarded[T any] struct {
	mu    sync.Mutex
	value T
}

func (g *guarded[T]) get() T {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.value
}

func (g *guarded[T]) set(value T) { g.update(func(v *T) { *v = value }) }

func (g *guarded[T]) update(change func(value *T)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.value)
}
