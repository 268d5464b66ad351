package powersync

import (
	"context"
	"time"
)

// Connector is what an app brings to sync.
type Connector interface {
	// FetchCredentials returns credentials that are good for some time; it is asked again before they end, and after a 401.
	FetchCredentials(ctx context.Context) (Credentials, error)
	// UploadData uploads the first transaction of the queue and completes it. It is called until the queue is empty, and again after
	// a while if it fails.
	UploadData(ctx context.Context, db *DB) error
}

// Credentials let a device sync.
type Credentials struct {
	Endpoint  string // base URL of the service
	Token     string
	ExpiresAt time.Time // zero where it is not known
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
func (db *DB) Connect(connector Connector) {}

// Disconnect ends what Connect began, and returns when all of it has ended.
func (db *DB) Disconnect() {}

// Status returns how it goes.
func (db *DB) Status() Status { return Status{} }

// StatusChanges is to Status what [DB.Changes] is to rows.
func (db *DB) StatusChanges(ctx context.Context) <-chan struct{} { return nil }

// AwaitSynced returns when all that was queued has been uploaded, and a checkpoint that is not older than this call has been applied;
// or with the error of ctx, and what keeps it.
func (db *DB) AwaitSynced(ctx context.Context) error { return nil }
