package mail

import (
	"context"
	"time"
)

// Store keeps jobs. Methods are atomic and safe for concurrent use; times are UTC, to the microsecond.
type Store interface {
	// EnqueueMail keeps a new job. It does nothing while a job of the same kind and address is kept, leased or not, so
	// that nobody's mailbox is filled by asking often; of two at the same time one is kept.
	EnqueueMail(ctx context.Context, j Job) error
	// LeaseMail takes at most limit jobs whose NextTryAt is not after now, the longest due first. In the same statement it
	// sets their NextTryAt to leaseUntil and adds one to their Attempts; it returns them as they are then. No job is given
	// to two callers: rows that another is taking are passed over, not waited for. A job that is neither dropped nor
	// retried, because its process died, is due again at leaseUntil.
	LeaseMail(ctx context.Context, now, leaseUntil time.Time, limit int) ([]Job, error)
	// DropMail removes a job. An unknown id does nothing.
	DropMail(ctx context.Context, id string) error
	// RetryMail sets the NextTryAt of a job. An unknown id does nothing.
	RetryMail(ctx context.Context, id string, at time.Time) error
}
