package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"iter"
	"time"

	"github.com/provisioner/provisioner/pkg/event"
)

// A digest whose time is over counts as new again.
const (
	insertDigest = `INSERT INTO event_digests (digest, recorded_at, expires_at) VALUES ($1, $2, $3)` + renewDigest
	insertEvent  = `INSERT INTO events (user_id, action, sent_at, received_at, verified, body) VALUES ($1, $2, $3, $4, $5, $6)`
	renewDigest  = ` ON CONFLICT (digest) DO UPDATE SET recorded_at = excluded.recorded_at, expires_at = excluded.expires_at
		WHERE event_digests.expires_at <= excluded.recorded_at`
)

// insertEventsSingly is the way of SQLite.
func insertEventsSingly(ctx context.Context, tx *sql.Tx, events []*event.Event) error {
	ctx = context.WithoutCancel(ctx)
	for _, e := range events {
		key := e.Digest()
		recorded, expires := microseconds(e.ReceivedAt), microseconds(e.ReceivedAt.Add(event.DedupeFor))
		n, err := changed(tx.ExecContext(ctx, insertDigest, key[:], recorded, expires))
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		_, err = tx.ExecContext(ctx, insertEvent, e.UserID, e.Action, microseconds(e.SentAt), recorded, e.Verified, e.Body)
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	insertDigests = `INSERT INTO event_digests (digest, recorded_at, expires_at)
		SELECT * FROM unnest($1::bytea[], $2::timestamptz[], $3::timestamptz[])` + renewDigest + ` RETURNING digest`
	insertEvents = `INSERT INTO events (user_id, action, sent_at, received_at, verified, body)
		SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::boolean[], $6::bytea[])`
)

// insertEventsTogether is the way of Postgres.
func insertEventsTogether(ctx context.Context, tx *sql.Tx, events []*event.Event) error {
	keys := column(events, func(e *event.Event) [sha256.Size]byte { return e.Digest() })
	order := distinct(keys)
	recorded, expires := make([]time.Time, len(order)), make([]time.Time, len(order))
	for i, at := range order {
		recorded[i] = events[at].ReceivedAt
		expires[i] = events[at].ReceivedAt.Add(event.DedupeFor)
	}
	fresh, err := insertNew(ctx, tx, keys, order, insertDigests, recorded, expires)
	if err != nil {
		return err
	}

	var added []*event.Event
	for i, e := range events {
		if fresh[i] {
			added = append(added, e)
		}
	}
	_, err = tx.ExecContext(ctx, insertEvents,
		column(added, func(e *event.Event) string { return e.UserID }),
		column(added, func(e *event.Event) string { return e.Action }),
		column(added, func(e *event.Event) time.Time { return e.SentAt }),
		column(added, func(e *event.Event) time.Time { return e.ReceivedAt }),
		column(added, func(e *event.Event) bool { return e.Verified }),
		column(added, func(e *event.Event) []byte { return e.Body }))
	return err
}

// eventPage is how many events are read at once. Between pages nothing is held: an export may take its time.
const eventPage = 256

const (
	selectEvents = `SELECT id, user_id, action, sent_at, received_at, verified, body FROM events
		WHERE (received_at, id) > ($1, $2) AND received_at < $3 AND ($4 = '' OR action = $4)`
	ofUser      = ` AND user_id = $6`
	oldestFirst = ` ORDER BY received_at, id LIMIT $5`
)

// farFuture is after every time that the store keeps.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Events implements [event.Store]. The order is that of reception, and of ids where that is equal.
func (db *DB) Events(ctx context.Context, f event.Filter) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		last := event.Event{ReceivedAt: f.Since} // ids begin at 1
		for left := orAll(f.Limit); left > 0; {
			size := min(left, eventPage)
			page, err := db.eventsAfter(ctx, f, last, size)
			if err != nil {
				yield(event.Event{}, err)
				return
			}
			for _, last = range page {
				if !yield(last, nil) {
					return
				}
			}
			if len(page) < size {
				return
			}
			left -= size
		}
	}
}

func (db *DB) eventsAfter(ctx context.Context, f event.Filter, last event.Event, size int) ([]event.Event, error) {
	since, until := last.ReceivedAt, f.Until
	if since.IsZero() {
		since = time.Unix(0, 0)
	}
	if until.IsZero() {
		until = farFuture
	}
	query, args := selectEvents+oldestFirst, []any{db.at(since), last.ID, db.at(until), f.Action, size}
	if f.UserID != "" {
		query, args = selectEvents+ofUser+oldestFirst, append(args, f.UserID)
	}
	return list(ctx, db, "list events", scanEvent, query, args...)
}

func scanEvent(r row) (event.Event, error) {
	var e event.Event
	err := r.Scan(&e.ID, &e.UserID, &e.Action, timeInto(&e.SentAt), timeInto(&e.ReceivedAt), &e.Verified, &e.Body)
	return e, err
}
