package library

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/provisioner/provisioner/pkg/audit"
)

// Errors of a Store.
var (
	ErrNoUser   = errors.New("no such user") // unknown, or erased meanwhile
	ErrNotFound = errors.New("no such dead letter")
)

// Ref names a row.
type Ref struct {
	Table *Table
	ID    string // a UUID in lower case
}

// State is what the store has under the name of a row.
type State int

// The states.
const (
	Missing State = iota
	Owned         // by the user who asks
	Deleted       // it was that user's
	Foreign       // another user's
)

// Found is what the store has of a row.
type Found struct {
	State State
	Row   Row // of an owned one
}

// Change is what becomes of one row.
type Change struct {
	Ref
	Row Row // nil: it is deleted, and a tombstone stays
}

// Intake is one upload as a store takes it in.
type Intake struct {
	UserID    string
	SessionID string
	Digest    [sha256.Size]byte // of the whole transaction; the zero one is kept in no ledger, and matches none
	Refs      []Ref             // the rows that it names, each once
	At        time.Time
}

// Decision is what becomes of an upload. A rejected one has a dead letter and changes nothing.
type Decision struct {
	Answer     []byte // kept in the ledger
	DeadLetter *DeadLetter
	// Change returns what becomes of the row of one of the Refs, by its index, given what the store has of it, and false where nothing is
	// to be written. It is asked for each row, in any order. Nil: for none.
	Change func(ref int, found Found) (Change, bool)
}

// DeadLetter is an upload that can never succeed, kept for the operator and its user.
type DeadLetter struct {
	ID         string // a UUID
	UserID     string
	SessionID  string
	ReceivedAt time.Time
	Rejected   []byte // JSON: why, as the device was told
	Body       []byte // of the request, or its beginning
	Size       int64  // of the body, in bytes
}

// Whole reports whether the whole body was kept, and not only its beginning.
func (d DeadLetter) Whole() bool { return d.Size <= MaxLetterBody }

// Content returns the body for people and programs to read, as a value for package encoding/json: the JSON itself, or text where it is
// none, or not whole.
func (d DeadLetter) Content() any {
	if d.Whole() && utf8.Valid(d.Body) && json.Valid(d.Body) {
		return json.RawMessage(d.Body)
	}
	return strings.ToValidUTF8(string(d.Body), "\ufffd")
}

// Letters narrows a listing of dead letters; zero fields take all.
type Letters struct {
	UserID string
	Before string // ID of the last one of the page before; "" for the first page
	Limit  int    // at most so many; 0 means all
}

// Store keeps rows, tombstones, the ledger of uploads and dead letters. Methods are atomic and safe for concurrent use; times are UTC,
// to the microsecond.
type Store interface {
	// Upload returns the answer of an upload that the ledger of its session knows. Another is given to decide, with the states of its
	// rows in the order of their Refs, and what that decides is kept, all of it or nothing: changes with their entries in the oplog
	// of the user's buckets, the answer in the ledger, the dead letter, of which the user's oldest give way beyond MaxLetters and
	// MaxLetterBytes. Rows are read some at a time: a short upload may name many that are large. No other upload of the user comes
	// between; a row that another user made meanwhile makes it begin anew, and decide run again. It returns ErrNoUser for an account that
	// is gone, and what decide returns.
	Upload(ctx context.Context, in Intake, decide func([]State) (Decision, error)) (answer []byte, err error)
	// DeadLetters lists dead letters, the newest first, without their bodies.
	DeadLetters(ctx context.Context, l Letters) ([]DeadLetter, error)
	// DeadLetter returns one, whoever's for the user "". It returns ErrNotFound.
	DeadLetter(ctx context.Context, userID, id string) (DeadLetter, error)
	// DropDeadLetter forgets one, and keeps dropped, an entry without user, with its user's id. It returns ErrNotFound.
	DropDeadLetter(ctx context.Context, id string, dropped audit.Entry) error
	// Rows lists a user's rows of a table whose keys follow after, by key, at most limit, and fewer where they are large: (the id, the
	// row) of each. After the last there are none.
	Rows(ctx context.Context, t *Table, userID, after string, limit int) ([]Kept, error)
}

// Kept is a row with its key.
type Kept struct {
	ID  string
	Row Row
}

// Bounds of what is kept of one user's dead letters.
const (
	MaxLetters     = 100
	MaxLetterBytes = 16 << 20
	MaxLetterBody  = 4 << 20 // of a longer body only letterHead is kept
	letterHead     = 64 << 10
)
