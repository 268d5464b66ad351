// Package event holds the events that clients report through the sender: what one is, and how they are kept, listed and
// exported. It does not receive them; package provision does, and package replay writes them with their nonce.
package event

import (
	"context"
	"crypto/sha256"
	"iter"
	"time"

	"github.com/provisioner/provisioner/pkg/timekey"
)

// DedupeFor is how long an equal raw body counts as the same event (contract: provisioning, section 3).
const DedupeFor = 24 * time.Hour

// Event is one reported event.
type Event struct {
	ID         int64     `json:"id"` // given by the store, in the order of arrival
	UserID     string    `json:"userId"`
	Action     string    `json:"action"`
	SentAt     time.Time `json:"sentAt"`
	ReceivedAt time.Time `json:"receivedAt"`
	Verified   bool      `json:"verified"` // a valid JWT's subject equalled UserID
	Body       []byte    `json:"-"`        // the raw bytes, a JSON object
}

// Digest identifies the event by its raw body, of which SentAt is a part.
func (e Event) Digest() [sha256.Size]byte { return timekey.New(e.SentAt, sha256.Sum256(e.Body)) }

// Filter narrows a listing. Zero fields do not narrow.
type Filter struct {
	UserID string
	Action string
	Since  time.Time // received at or after
	Until  time.Time // received before
	Limit  int       // 0 means all
}

// Store keeps events. They are written through replay.Store, in one transaction with their nonce.
type Store interface {
	// Events yields the events that match f in the order of ReceivedAt, then of ID. An error ends the sequence.
	Events(ctx context.Context, f Filter) iter.Seq2[Event, error]
}
