package syncstream

import (
	"context"
	"errors"
	"time"
)

// ErrNoUser means that an account is unknown, disabled or erased.
var ErrNoUser = errors.New("no such user")

// Bucket is what the store knows of a bucket: the operations of one user in one stream.
type Bucket struct {
	Stream    string // "user_books"
	Checksum  uint32 // sum of the checksums of all its operations
	Count     int64  // of its operations
	Compacted int64  // the user's head when it was compacted last: what a checkpoint before that promised is no longer all there
}

// Snapshot is the state of a user's buckets at one moment, for one client.
type Snapshot struct {
	Head            int64    // ID of the user's last operation; 0 for none yet
	WriteCheckpoint int64    // the client's; 0 for none yet
	Buckets         []Bucket // those that have operations, by stream
}

// Page says which operations of a bucket to read.
type Page struct {
	UserID, Stream string
	After, UpTo    int64 // IDs: the operations after the one, up to and with the other
	Ops            int   // at most so many
	Bytes          int   // and no more once their data has so many; at least one is read
}

// Store reads what devices are to be sent. The operations are written, in the transactions of the changes that they tell of, by
// whoever makes the changes. Methods are safe for concurrent use.
type Store interface {
	// Snapshot returns the state of one moment. It returns ErrNoUser.
	Snapshot(ctx context.Context, userID, clientID string) (Snapshot, error)
	// Ops returns operations by their IDs. Fewer than page asks for are not the last: only none are.
	Ops(ctx context.Context, page Page) ([]Op, error)
	// Compacted returns when a bucket was compacted last, as in Bucket. It returns ErrNoUser for a bucket that is not there: it went with
	// its user.
	Compacted(ctx context.Context, userID, stream string) (head int64, err error)
	// WriteCheckpoint steps the counter of a client, or raises it to atLeast if that is not 0, and returns it. Of a user's clients those
	// that were not heard of the longest are forgotten beyond MaxClients. It returns ErrNoUser.
	WriteCheckpoint(ctx context.Context, userID, clientID string, atLeast int64, now time.Time) (int64, error)
}

// MaxClients is how many clients of a user are remembered.
const MaxClients = 1000

// Changes tells of commits that a user's devices are to hear of: operations, write checkpoints, or the end of the account.
type Changes interface {
	// OnChange has f called with the user's id after each, at once for those of this process, within a quarter of a second for those of
	// others; with "" when any user's may have been missed. Several goroutines may call f at once. It must not block.
	OnChange(f func(userID string))
}

// Compacted counts what a compaction did.
type Compacted struct {
	Buckets, Moved, Cleared int64
}

// Compactor keeps buckets short. Methods are safe for concurrent use, by any number of processes.
type Compactor interface {
	// Compact makes operations that a later one of their object made void into MOVE, and a leading run without PUT into one CLEAR, in
	// each bucket with at least void such operations. It works a bounded number of operations at a time, so that no upload waits for
	// long, and counts what it did before an error too. A run that stands behind old rows is not leading: where it is long, it has
	// Backfill tell of some of those anew.
	Compact(ctx context.Context, void int64) (Compacted, error)
	// Backfill writes operations for at most limit rows that have none, because they are from before there were operations or were
	// changed by hand (a null op_id says so), and returns for how many.
	Backfill(ctx context.Context, limit int) (int, error)
}

// Status is how much there is of everything.
type Status struct {
	Users            int64 // that have buckets
	Buckets          int64
	Ops              int64     // in all buckets
	Void             int64     // of those, what compaction would make shorter, about
	Backlog          int64     // rows that await their operation, which Backfill writes
	Clients          int64     // whose write checkpoints are remembered
	DeadLetters      int64     // uploads that could not succeed
	OldestDeadLetter time.Time // when the first of those was received; zero for none
}
