package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/idempotency"
	"github.com/provisioner/provisioner/pkg/text"
)

const (
	auditColumns = `at, kind, user_id, session_id, key_id, network, request_id, detail, count`
	insertAudit  = `INSERT INTO audit_log (` + auditColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

	insertRefusal = `INSERT INTO audit_log (` + auditColumns + `, refusal_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)` + addRefusals
	insertRefusals = `INSERT INTO audit_log (` + auditColumns + `, refusal_key)
		SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
		$9::bigint[], $10::bytea[])` + addRefusals
	holdUsers   = `SELECT user_id FROM users WHERE user_id = ANY ($1::uuid[]) ORDER BY user_id FOR KEY SHARE`
	addRefusals = ` ON CONFLICT (refusal_key) DO UPDATE SET count = audit_log.count + excluded.count`

	selectAudit    = `SELECT id, ` + auditColumns + ` FROM audit_log WHERE id < $1 AND at >= $2 AND at < $3`
	auditOfUser    = ` AND user_id = $5 AND ($6 = '' OR kind = $6)`
	auditOfKind    = ` AND kind = $5`
	auditNewest    = ` ORDER BY id DESC LIMIT $4`
	forgetNetworks = `UPDATE audit_log SET network = '', refusal_key = NULL WHERE user_id = $1`
)

// maxAuditText is how much of one text of an entry is kept, in bytes.
const maxAuditText = 512

// record writes an entry, unless it is of no kind, with the ids that it lacks.
func (db *DB) record(ctx context.Context, tx *sql.Tx, e audit.Entry, userID, sessionID, keyID string) error {
	if e.Kind == "" {
		return nil
	}
	e.UserID, e.SessionID, e.KeyID = cmp.Or(e.UserID, userID), cmp.Or(e.SessionID, sessionID), cmp.Or(e.KeyID, keyID)
	return execIn(ctx, tx, insertAudit, auditRow(db.at, legible(e))...)
}

// legible returns an entry with its texts cut to what any database can hold: they must not undo the change that it tells of.
func legible(e audit.Entry) audit.Entry {
	for _, s := range []*string{&e.UserID, &e.SessionID, &e.KeyID, &e.Network, &e.RequestID, &e.Detail} {
		*s = text.Line(*s, maxAuditText)
	}
	e.Count = max(e.Count, 1)
	return e
}

// auditRow returns the columns of an entry, in the order of auditColumns.
func auditRow(at func(time.Time) any, e audit.Entry) []any {
	return []any{
		at(e.At), string(e.Kind), e.UserID, e.SessionID, e.KeyID, e.Network, e.RequestID, e.Detail, int64(e.Count),
	}
}

// refusal is an entry with the key that it shares with its equals. For no other entry is the key kept: what AppendAudit writes
// is equal to nothing before it if it happened at another time.
type refusal struct {
	audit.Entry
	key [sha256.Size]byte
}

// AppendAudit implements [audit.Store]. An entry that differs in nothing but its count from one that was appended before adds to
// that one's count. It tells no network of an account that was erased since the event: refusals are written a little later.
func (db *DB) AppendAudit(ctx context.Context, entries ...audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	return db.tx(ctx, "append to the audit log", func(ctx context.Context, tx *sql.Tx) error {
		there, err := db.holdUsers(ctx, tx, usersOf(entries))
		if err != nil {
			return err
		}
		return db.insertRefusals(ctx, tx, merge(withoutNetworks(entries, there)))
	})
}

// usersOf returns the ids of the accounts that entries concern, each once and in their order: transactions that all hold accounts in
// that order wait for each other, but never in a circle.
func usersOf(entries []audit.Entry) []string {
	var ids []string
	for _, e := range entries {
		if isID(e.UserID) {
			ids = append(ids, e.UserID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// withoutNetworks returns entries with no network where the account that they concern is not there.
func withoutNetworks(entries []audit.Entry, there map[string]bool) []audit.Entry {
	out := slices.Clone(entries)
	for i, e := range out {
		if isID(e.UserID) && !there[e.UserID] {
			out[i].Network = ""
		}
	}
	return out
}

// holdUsersSingly is the way of SQLite, where nobody else writes meanwhile.
func holdUsersSingly(ctx context.Context, tx *sql.Tx, ids []string) (map[string]bool, error) {
	ctx = context.WithoutCancel(ctx)
	there := make(map[string]bool, len(ids))
	for _, id := range ids {
		_, err := scanString(tx.QueryRowContext(ctx, selectOwner, id))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		there[id] = err == nil
	}
	return there, nil
}

// holdUsersTogether is the way of Postgres.
func holdUsersTogether(ctx context.Context, tx *sql.Tx, ids []string) (map[string]bool, error) {
	rows, err := tx.QueryContext(ctx, holdUsers, ids)
	if err != nil {
		return nil, err
	}
	found, err := scanAll(rows, scanString)
	there := make(map[string]bool, len(found))
	for _, id := range found {
		there[id] = true
	}
	return there, err
}

// merge returns the entries with those that are equal counted together, in the order of their keys: batches that all insert in
// that order wait for each other, but never in a circle.
func merge(entries []audit.Entry) []refusal {
	counts := make(map[audit.Entry]int, len(entries))
	for _, e := range entries {
		e = legible(e)
		n := e.Count
		e.ID, e.At, e.Count = 0, e.At.UTC().Truncate(time.Microsecond), 0
		counts[e] += n
	}
	merged := make([]refusal, 0, len(counts))
	for e, n := range counts {
		key := idempotency.Hash(
			e.At.Format(time.RFC3339Nano), string(e.Kind), e.UserID, e.SessionID, e.KeyID, e.Network, e.RequestID, e.Detail)
		e.Count = n
		merged = append(merged, refusal{e, key})
	}
	slices.SortFunc(merged, func(a, b refusal) int { return bytes.Compare(a.key[:], b.key[:]) })
	return merged
}

// insertRefusalsSingly is the way of SQLite.
func insertRefusalsSingly(ctx context.Context, tx *sql.Tx, refusals []refusal) error {
	ctx = context.WithoutCancel(ctx)
	for _, r := range refusals {
		if err := execIn(ctx, tx, insertRefusal, append(auditRow(microseconds, r.Entry), r.key[:])...); err != nil {
			return err
		}
	}
	return nil
}

// insertRefusalsTogether is the way of Postgres.
func insertRefusalsTogether(ctx context.Context, tx *sql.Tx, refusals []refusal) error {
	return execIn(ctx, tx, insertRefusals, refusalColumns(refusals)...)
}

// refusalColumns returns the columns of refusals as arrays, in the order of insertRefusals.
func refusalColumns(refusals []refusal) []any {
	return []any{
		column(refusals, func(r refusal) time.Time { return r.At }),
		column(refusals, func(r refusal) string { return string(r.Kind) }),
		column(refusals, func(r refusal) string { return r.UserID }),
		column(refusals, func(r refusal) string { return r.SessionID }),
		column(refusals, func(r refusal) string { return r.KeyID }),
		column(refusals, func(r refusal) string { return r.Network }),
		column(refusals, func(r refusal) string { return r.RequestID }),
		column(refusals, func(r refusal) string { return r.Detail }),
		column(refusals, func(r refusal) int64 { return int64(r.Count) }),
		column(refusals, func(r refusal) []byte { return r.key[:] }),
	}
}

// AuditEntries implements [audit.Store]. Newest is what was written last.
func (db *DB) AuditEntries(ctx context.Context, f audit.Filter) ([]audit.Entry, error) {
	if !isText(f.UserID) || !isText(string(f.Kind)) {
		return nil, nil
	}
	before, since, until := f.Before, f.Since, f.Until
	if before == 0 {
		before = math.MaxInt64
	}
	if since.IsZero() {
		since = time.Unix(0, 0)
	}
	if until.IsZero() {
		until = farFuture
	}
	query, args := selectAudit, []any{before, db.at(since), db.at(until), orAll(f.Limit)}
	switch {
	case f.UserID != "":
		query, args = query+auditOfUser, append(args, f.UserID, string(f.Kind))
	case f.Kind != "":
		query, args = query+auditOfKind, append(args, string(f.Kind))
	}
	return list(ctx, db, "list audit log", scanAudit, query+auditNewest, args...)
}

func scanAudit(r row) (audit.Entry, error) {
	var e audit.Entry
	err := r.Scan(&e.ID, timeInto(&e.At), &e.Kind, &e.UserID, &e.SessionID, &e.KeyID, &e.Network, &e.RequestID, &e.Detail, &e.Count)
	return e, err
}
