package powersync

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Connector is what an app brings to sync.
type Connector interface {
	// FetchCredentials returns credentials that are good for some time; it is asked again before they end, and after a 401.
	FetchCredentials(ctx context.Context) (Credentials, error)
	// UploadData uploads the first transaction of the queue and completes it. It is called until the queue is empty, and again after
	// a while if it fails.
	UploadData(ctx context.Context, db *DB) error
}

// Status is how it goes with syncing.
type Status struct {
	Connected     bool // the stream stands
	Connecting    bool
	Elsewhere     bool // another process syncs this file
	Downloading   bool
	Uploading     bool
	Received      int64     // operations of the checkpoint that is being downloaded
	Expected      int64     // of how many
	LastSyncedAt  time.Time // of the last complete checkpoint that was applied, by any process; zero before the first
	DownloadError error     // of the last try, nil once it works again
	UploadError   error
}

// Connect has the database sync, until [DB.Disconnect], in the background. A second call replaces the connector.
func (db *DB) Connect(connector Connector) {
	db.connecting.Lock()
	defer db.connecting.Unlock()
	db.disconnect()
	ctx, stop := context.WithCancel(context.Background())
	s := &syncer{
		db: db, connector: connector, stop: stop, done: make(chan struct{}), uploaded: make(chan struct{}, 1),
		credentials: newCredentialCache(connector.FetchCredentials, db.now),
	}
	db.syncing = s
	go s.run(ctx)
}

// Disconnect ends what Connect began, and returns when all of it has ended.
func (db *DB) Disconnect() {
	db.connecting.Lock()
	defer db.connecting.Unlock()
	db.disconnect()
}

func (db *DB) disconnect() {
	if s := db.syncing; s != nil {
		s.stop()
		<-s.done
		db.syncing = nil
	}
}

// Status returns how it goes.
func (db *DB) Status() Status {
	status := db.status.get()
	status.LastSyncedAt = db.watch.syncedAt.get()
	return status
}

// StatusChanges is to Status what [DB.Changes] is to rows.
func (db *DB) StatusChanges(ctx context.Context) <-chan struct{} {
	return db.watch.subscribe(ctx, func(table string) bool { return table == statusChanges || table == deviceChanges })
}

// AwaitSynced returns when all that was queued has been uploaded, and a checkpoint that is not older than this call has been applied,
// by whichever process syncs; or with the error of ctx, and what has kept it.
func (db *DB) AwaitSynced(ctx context.Context) error {
	// A write checkpoint that is asked for from now on is part of no older checkpoint.
	err := db.change(ctx, db.sync, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE ps_device SET asks = asks + 1, target = ?`, int64(unknown)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, changed(queueChanges))
		return err
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	for range db.Changes(watching, queueChanges, deviceChanges) {
		synced, err := db.isSynced(ctx)
		if ctx.Err() == nil && (err != nil || synced) {
			return err
		}
	}
	if ctx.Err() == nil {
		return errClosed
	}
	status := db.Status()
	return errors.Join(ctx.Err(), status.DownloadError, status.UploadError)
}

var errClosed = errors.New("the database is closed")

func (db *DB) isSynced(ctx context.Context) (synced bool, err error) {
	err = db.Read(ctx, func(tx *sql.Tx) error {
		if err := db.checkEpoch(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT target <= applied AND NOT EXISTS (SELECT * FROM ps_crud) FROM ps_device`).Scan(&synced)
	})
	return synced, err
}

// syncer is what Connect begins.
type syncer struct {
	db          *DB
	connector   Connector
	credentials *credentialCache
	stop        context.CancelFunc
	done        chan struct{}
	uploaded    chan struct{} // sent to when checkpoints that were held back may be shown
}

// lockEvery is how often it is tried to take over from another process.
const lockEvery = 500 * time.Millisecond

func (s *syncer) run(ctx context.Context) {
	defer close(s.done)
	defer s.set(func(status *Status) {
		*status = Status{DownloadError: status.DownloadError, UploadError: status.UploadError}
	})
	lock := flock.New(s.db.path+".sync", flock.SetPermissions(0o600))
	defer func() { _ = lock.Close() }()
	s.set(func(status *Status) { *status = Status{Connecting: true} })
	if !s.takeLock(ctx, lock) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { s.forever(ctx, s.download, downloadError) })
	both.Go(func() { s.forever(ctx, s.upload, uploadError) })
	both.Wait()
}

// takeLock returns when no other process syncs the file, or false when ctx has ended before.
func (s *syncer) takeLock(ctx context.Context, lock *flock.Flock) bool {
	for {
		locked, err := lock.TryLock()
		s.set(func(status *Status) { status.Elsewhere, status.DownloadError = !locked && err == nil, err })
		if locked || !sleep(ctx, lockEvery) {
			return locked
		}
	}
}

// downloadError and uploadError return the member of a Status that holds the error of work.
func downloadError(status *Status) *error { return &status.DownloadError }

func uploadError(status *Status) *error { return &status.UploadError }

// forever repeats work until ctx ends, or the database was cleared by another process. The wait after an error is longer after each
// that follows without work having called its argument, which says that something has worked.
func (s *syncer) forever(ctx context.Context, work func(ctx context.Context, worked func()) error, failed func(*Status) *error) {
	failures := 0
	worked := func() {
		failures = 0
		s.set(func(status *Status) { *failed(status) = nil })
	}
	for ctx.Err() == nil {
		err := work(ctx, worked)
		if err == nil || ctx.Err() != nil {
			continue
		}
		failures++
		s.set(func(status *Status) { *failed(status) = err })
		if errors.Is(err, ErrCleared) {
			s.stop()
			return
		}
		sleep(ctx, s.db.backoff.after(failures))
	}
}

// set changes the status.
func (s *syncer) set(change func(status *Status)) {
	s.db.status.update(change)
	s.db.watch.tell(statusChanges)
}

// StatusError is an answer of the service that is not 200.
type StatusError struct {
	Status int    // of HTTP
	What   string // that was asked for
}

// Error names the status and what was asked for, without a host or a token.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: the service answered %d", e.What, e.Status)
}
