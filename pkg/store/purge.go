package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
)

// purgeChunk is how many rows one statement deletes: requests wait no longer than that takes.
const purgeChunk = 1000

// endedTokensKept is how long a token that can no longer be used is kept, for whoever asks what became of it.
const endedTokensKept = 24 * time.Hour

// nonceSpare is how long nonces are kept beyond their end: a clock that ran so far ahead, and is right again, lets no request pass
// a second time.
const nonceSpare = 10 * time.Minute

// How long what devices rely on is kept after it was of use last.
const (
	uploadsKept     = 30 * 24 * time.Hour // answers in the ledger (contract: papyrus, section 6)
	syncClientsKept = 90 * 24 * time.Hour // write checkpoints of a client
)

// Retention says how long to keep what does not expire by itself; 0 is for good.
type Retention struct {
	Events   time.Duration // from their reception
	Sessions time.Duration // from their end
	Audit    time.Duration // from the event
}

// Purged counts the rows that a purge deleted.
type Purged struct {
	Nonces, EventDigests, Claims, Issues, Sessions, Events, ExchangeCodes, States, ActionTokens, AuditEntries, Uploads, SyncClients int64
}

// Purge deletes what has expired at now, a bounded number of rows at a time. Any number of processes may do so at once. An error
// of one table does not keep it from the others.
func (db *DB) Purge(ctx context.Context, now time.Time, r Retention) (Purged, error) {
	var p Purged
	sweeps := []struct {
		expired
		before  time.Time
		deleted *int64
	}{
		{expiredNonces, now.Add(-nonceSpare), &p.Nonces},
		{expiredDigests, now, &p.EventDigests},
		{expiredClaims, now.Add(-idempotency.Lease), &p.Claims}, // a claim may be held that much longer
		{expiredIssues, now, &p.Issues},
		{endedSessions, since(now, r.Sessions), &p.Sessions},
		{oldEvents, since(now, r.Events), &p.Events},
		{expiredCodes, now, &p.ExchangeCodes},
		{expiredStates, now, &p.States},
		{endedTokens, now.Add(-endedTokensKept), &p.ActionTokens},
		{oldAudit, since(now, r.Audit), &p.AuditEntries},
		{oldUploads, now.Add(-uploadsKept), &p.Uploads},
		{silentClients, now.Add(-syncClientsKept), &p.SyncClients},
	}
	var errs []error
	for _, s := range sweeps {
		errs = append(errs, db.sweep(ctx, s.expired, s.before, s.deleted))
	}
	return p, errors.Join(errs...)
}

// since returns the time that lies kept before now, the zero time for what is kept for good.
func since(now time.Time, kept time.Duration) time.Time {
	if kept == 0 {
		return time.Time{}
	}
	return now.Add(-kept)
}

// expired is a table that is purged by a time of its rows.
type expired struct {
	table, key, end string
}

var (
	expiredNonces  = expired{"nonces", "nonce", "expires_at"}
	expiredDigests = expired{"event_digests", "digest", "expires_at"}
	expiredClaims  = expired{"idempotency_claims", "intent_key", "expires_at"}
	expiredIssues  = expired{"api_key_issues", "user_id, idempotency_key", "expires_at"}
	endedSessions  = expired{"auth_sessions", "session_id", "coalesce(revoked_at, expires_at)"}
	oldEvents      = expired{"events", "id", "received_at"}
	expiredCodes   = expired{"auth_exchange_codes", "code_hash", "expires_at"}
	expiredStates  = expired{"oidc_states", "state_hash", "expires_at"}
	endedTokens    = expired{"email_action_tokens", "token_id", "coalesce(used_at, expires_at)"}
	oldAudit       = expired{"audit_log", "id", "at"}
	oldUploads     = expired{"sync_uploads", "session_id, digest", "answered_at"}
	silentClients  = expired{"sync_clients", "user_id, client_id", "heard_at"}
)

// How to delete at most $2 rows of table 1 that ended, by column 3, at $1 or before. SQLite finds them again by their key, column
// 2; Postgres by where they lie, or for a thousand of them it might rather read the whole table.
const (
	purgeByKey   = `DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s <= $1 ORDER BY %[3]s LIMIT $2)`
	purgeByPlace = `DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM %[1]s WHERE %[3]s <= $1 ORDER BY %[3]s LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

func (e expired) statement(d dialect) string { return fmt.Sprintf(d.purge, e.table, e.key, e.end) }

func (db *DB) sweep(ctx context.Context, e expired, before time.Time, deleted *int64) error {
	if before.IsZero() {
		return nil
	}
	for {
		n, err := db.exec(ctx, "purge "+e.table, e.statement(db.dialect), db.at(before), purgeChunk)
		*deleted += n
		if err != nil || n < purgeChunk {
			return err
		}
	}
}
