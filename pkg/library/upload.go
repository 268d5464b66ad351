package library

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/audit"
)

// Errors of an Uploader.
var (
	ErrMalformed  = errors.New("no upload") // not a JSON object with a batch, so that a device would have to send something else
	ErrIncomplete = errors.New("the body did not arrive whole")
	ErrNotWhole   = errors.New("only the beginning of the dead letter was kept")
)

// MaxBody is the size of the longest upload, in bytes (contract: papyrus, section 6).
const MaxBody = 64 << 20

// Config is what an Uploader is made of; every field is needed but those that say what their zero value means.
type Config struct {
	Store    Store
	Refusals Refusals // nil: rejected uploads are not audited
	MaxBody  int64    // of one upload, in bytes; 0 means MaxBody
	Now      func() time.Time
	Log      *slog.Logger
}

// Refusals takes the audit entries of what was refused.
type Refusals interface{ Add(e audit.Entry) }

// Uploader takes in the changes that devices queued.
type Uploader struct{ Config }

// NewUploader returns an Uploader.
func NewUploader(c Config) *Uploader {
	if c.MaxBody == 0 {
		c.MaxBody = MaxBody
	}
	return &Uploader{c}
}

// Device is whose changes an upload holds.
type Device struct {
	UserID    string
	SessionID string
}

// Result is what became of an upload.
type Result string

// The results. A released one keeps its name: metrics have it.
const (
	Applied  Result = "applied"  // all of it, even where nothing had to be changed
	Rejected Result = "rejected" // none of it, and a dead letter was kept
	Repeated Result = "repeated" // it was answered before
)

// Answer is that to an upload.
type Answer struct {
	JSON   []byte // {"applied_count", "warnings"?, "rejected"?}
	Result Result
}

// Upload takes in one transaction of a device (contract: papyrus, section 6): all of it, or where it can never succeed nothing, and
// answers both, so that the device goes on. It returns ErrMalformed for a body that is no upload, ErrIncomplete for one that broke
// off, ErrNoUser for an account that is gone, and the errors of the Store; then nothing happened, or where the store does not know
// the same upload may be sent again: it is applied once.
func (u *Uploader) Upload(ctx context.Context, from Device, body io.Reader) (Answer, error) {
	src := &source{body: body, limit: u.MaxBody}
	t, err := decode(src)
	if err != nil {
		return Answer{}, err
	}
	letter := &DeadLetter{UserID: from.UserID, SessionID: from.SessionID, Body: src.kept, Size: src.size}
	return u.take(ctx, from, t, letter)
}

// Replay takes in a dead letter once more, as from its user. Unless it is rejected again, it is then forgotten. It returns
// ErrNotWhole, ErrNotFound for a letter that was dropped meanwhile, ErrNoUser, and the errors of the Store. A replay that fails
// after the changes were made may be repeated; what the user did meanwhile to the same columns is overwritten.
func (u *Uploader) Replay(ctx context.Context, l DeadLetter) (Answer, error) {
	if !l.Whole() {
		return Answer{}, ErrNotWhole
	}
	t, err := decode(&source{body: bytes.NewReader(l.Body), limit: u.MaxBody})
	if err != nil {
		return Answer{}, err
	}
	t.digest = [sha256.Size]byte{} // the ledger has its rejection
	answer, err := u.take(ctx, Device{l.UserID, l.SessionID}, t, nil)
	if err != nil || answer.Result == Rejected {
		return answer, err
	}
	return answer, u.Store.DropDeadLetter(ctx, l.ID, audit.New(ctx, u.instant(), audit.DeadLetterReplayed, ""))
}

func (u *Uploader) instant() time.Time { return u.Now().UTC().Truncate(time.Microsecond) }

// take stores what a transaction comes to. A rejected one is kept as letter, if that is not nil.
func (u *Uploader) take(ctx context.Context, from Device, t *transaction, letter *DeadLetter) (Answer, error) {
	if t.empty {
		b, err := answer{}.encode()
		return Answer{b, Applied}, err
	}
	at, result := u.instant(), Repeated
	var rejected rejections
	in := Intake{UserID: from.UserID, SessionID: from.SessionID, Digest: t.digest, Refs: t.refs, At: at}
	b, err := u.Store.Upload(ctx, in, func(states []State) (Decision, error) {
		out := outcome{rejected: t.rejected}
		if len(t.rejected) == 0 {
			out = t.judge(states)
		}
		result, rejected = Applied, out.rejected
		return u.decide(t, out, letter, at)
	})
	if err != nil {
		return Answer{}, err
	}
	if len(rejected) > 0 {
		result = Rejected
		u.report(ctx, from, rejected[0], letter, at)
	}
	return Answer{b, result}, nil
}

func (u *Uploader) decide(t *transaction, out outcome, letter *DeadLetter, at time.Time) (d Decision, err error) {
	if len(out.rejected) == 0 {
		d.Change = t.changes(at)
		d.Answer, err = answer{Applied: out.applied, Warnings: t.warnings}.encode()
		return d, err
	}
	if d.Answer, err = (answer{Rejected: out.rejected}).encode(); err != nil || letter == nil {
		return d, err
	}
	letter.ID, letter.ReceivedAt, d.DeadLetter = uuid.NewString(), at, letter
	letter.Rejected, err = json.Marshal(out.rejected)
	return d, err
}

// report tells the operator of a transaction that was rejected now. It is no warning: any device can have as many as it likes, and
// which result how many uploads had is counted.
func (u *Uploader) report(ctx context.Context, from Device, first rejection, letter *DeadLetter, at time.Time) {
	if letter == nil {
		return // a replay: its answer is for whoever asked for it
	}
	if u.Refusals != nil {
		e := audit.New(ctx, at, audit.UploadRejected, from.UserID)
		e.SessionID, e.Detail = from.SessionID, string(first.Code)
		u.Refusals.Add(e)
	}
	u.Log.InfoContext(ctx, "upload rejected", "user_id", from.UserID, "session_id", from.SessionID, "code", first.Code, "dead_letter", letter.ID)
}
