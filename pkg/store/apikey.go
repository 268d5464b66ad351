package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
)

const (
	selectIssue = `SELECT idempotency_key, fingerprint, sealed, expires_at FROM api_key_issues
		WHERE user_id = $1 AND idempotency_key = $2 AND expires_at > $3`
	upsertIssue = `INSERT INTO api_key_issues (user_id, idempotency_key, fingerprint, sealed, expires_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, idempotency_key) DO UPDATE
		SET fingerprint = excluded.fingerprint, sealed = excluded.sealed, expires_at = excluded.expires_at`

	selectOwner = `SELECT user_id FROM users WHERE user_id = $1`
	// A key in the grace period of its rotation has no place of its own, as long as the one that replaced it lives.
	countLive = `SELECT count(*) FROM api_keys k
		WHERE k.user_id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
		AND NOT EXISTS (SELECT 1 FROM api_keys n WHERE n.key_id = k.replaced_by
			AND n.revoked_at IS NULL AND (n.expires_at IS NULL OR n.expires_at > $2))`
	insertAPIKey = `INSERT INTO api_keys (key_id, user_id, name, prefix, hash, tier, created_at, last_used_at, expires_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

	keyByHash = `SELECT k.key_id, k.user_id, k.name, k.prefix, k.hash, k.tier, k.created_at, k.last_used_at, k.expires_at,
		coalesce(k.revoked_at, u.disabled_at) FROM api_keys k JOIN users u ON u.user_id = k.user_id WHERE k.hash = $1`
	selectKeys = `SELECT key_id, user_id, name, prefix, hash, tier, created_at, last_used_at, expires_at, revoked_at FROM api_keys`
	keyOfUser  = selectKeys + ` WHERE key_id = $1 AND user_id = $2`
	firstKeys  = selectKeys + ` WHERE user_id = $1 ORDER BY created_at DESC, key_id DESC LIMIT $2`
	keysBefore = selectKeys + ` WHERE user_id = $1 AND (created_at, key_id) < ($2, $3)
		ORDER BY created_at DESC, key_id DESC LIMIT $4`

	isReplaced = `SELECT replaced_by IS NOT NULL FROM api_keys WHERE key_id = $1`
	replaceKey = `UPDATE api_keys SET replaced_by = $2, expires_at = $3, revoked_at = $4 WHERE key_id = $1`
	revokeKey  = `UPDATE api_keys SET revoked_at = $3 WHERE key_id = $1 AND user_id = $2 AND revoked_at IS NULL`
	revokeKeys = `UPDATE api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL RETURNING key_id`
	// The key that key $3 replaced.
	revokeReplaced = `UPDATE api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL AND replaced_by = $3 RETURNING key_id`

	updateUse  = `UPDATE api_keys SET last_used_at = $2 WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`
	updateUses = `UPDATE api_keys k SET last_used_at = u.used_at FROM unnest($1::uuid[], $2::timestamptz[]) AS u (key_id, used_at)
		WHERE k.key_id = u.key_id AND (k.last_used_at IS NULL OR k.last_used_at < u.used_at)`
)

// IssueByKey implements [apikey.Store].
func (db *DB) IssueByKey(ctx context.Context, userID, idempotencyKey string, now time.Time) (apikey.Issue, error) {
	if !isID(userID) || !isText(idempotencyKey) {
		return apikey.Issue{}, apikey.ErrNotFound
	}
	return find(ctx, db, "find issued key", apikey.ErrNotFound, scanIssue, selectIssue, userID, idempotencyKey, db.at(now))
}

func scanIssue(r row) (apikey.Issue, error) {
	var i apikey.Issue
	err := r.Scan(&i.IdempotencyKey, digestInto(&i.Fingerprint), &i.Sealed, timeInto(&i.ExpiresAt))
	return i, err
}

// CreateKey implements [apikey.Store].
func (db *DB) CreateKey(
	ctx context.Context, k apikey.Key, quota int, issue apikey.Issue, issued audit.Entry,
) (apikey.Issue, error) {
	return db.issue(ctx, "create key", k, issue, func(ctx context.Context, tx *sql.Tx) error {
		var live int
		if err := tx.QueryRowContext(ctx, countLive, k.UserID, db.at(k.CreatedAt)).Scan(&live); err != nil {
			return err
		}
		if live >= quota {
			return apikey.ErrQuotaExceeded
		}
		if err := db.insertKey(ctx, tx, k); err != nil {
			return err
		}
		return db.record(ctx, tx, issued, k.UserID, "", k.ID)
	})
}

// issue keeps an answer and what work does for it, in one transaction that holds the account of k. Work is not done when an
// answer is already kept.
func (db *DB) issue(
	ctx context.Context, op string, k apikey.Key, issue apikey.Issue, work func(ctx context.Context, tx *sql.Tx) error,
) (apikey.Issue, error) {
	if !isID(k.UserID) {
		return apikey.Issue{}, apikey.ErrNotFound
	}
	kept := issue
	err := db.tx(ctx, op, func(ctx context.Context, tx *sql.Tx) (err error) {
		if _, err = scanString(tx.QueryRowContext(ctx, selectOwner+db.lockRow, k.UserID)); err != nil {
			return err
		}
		kept, err = db.keptIssue(ctx, tx, k, issue)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		kept = issue
		if err := work(ctx, tx); err != nil || issue.IdempotencyKey == "" {
			return err
		}
		return execIn(ctx, tx, upsertIssue,
			k.UserID, issue.IdempotencyKey, issue.Fingerprint[:], issue.Sealed, db.at(issue.ExpiresAt))
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = apikey.ErrNotFound
	}
	if err != nil && !errors.Is(err, apikey.ErrReused) {
		return apikey.Issue{}, err
	}
	return kept, err
}

// keptIssue returns the answer that is kept under issue's idempotency key, or sql.ErrNoRows.
func (db *DB) keptIssue(ctx context.Context, tx *sql.Tx, k apikey.Key, issue apikey.Issue) (apikey.Issue, error) {
	if issue.IdempotencyKey == "" {
		return apikey.Issue{}, sql.ErrNoRows
	}
	kept, err := scanIssue(tx.QueryRowContext(ctx, selectIssue, k.UserID, issue.IdempotencyKey, db.at(k.CreatedAt)))
	if err == nil && kept.Fingerprint != issue.Fingerprint {
		err = apikey.ErrReused
	}
	return kept, err
}

func (db *DB) insertKey(ctx context.Context, tx *sql.Tx, k apikey.Key) error {
	return execIn(ctx, tx, insertAPIKey, k.ID, k.UserID, k.Name, k.Prefix, k.Hash[:], k.Tier,
		db.at(k.CreatedAt), db.at(k.LastUsedAt), db.at(k.ExpiresAt), db.at(k.RevokedAt))
}

// RotateKey implements [apikey.Store].
func (db *DB) RotateKey(
	ctx context.Context, old string, k apikey.Key, expiresAt time.Time, issue apikey.Issue, rotated audit.Entry,
) (apikey.Issue, error) {
	if !isID(old) {
		return apikey.Issue{}, apikey.ErrNotFound
	}
	ended := []revocation.Notice{{Kind: revocation.Key, ID: old}}
	kept, err := db.issue(ctx, "rotate key", k, issue, func(ctx context.Context, tx *sql.Tx) error {
		before, err := db.replaceKey(ctx, tx, old, k, expiresAt)
		if err != nil {
			return err
		}
		if before != "" {
			ended = append(ended, revocation.Notice{Kind: revocation.Key, ID: before})
			if err := db.recordRevoked(ctx, tx, rotated, k.UserID, before); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, rotated, k.UserID, "", old)
	})
	return kept, db.tell(ctx, err, ended...)
}

// recordRevoked writes that keys of a user were revoked with the change that cause tells of.
func (db *DB) recordRevoked(ctx context.Context, tx *sql.Tx, cause audit.Entry, userID string, keys ...string) error {
	for _, id := range keys {
		revoked := cause
		revoked.Kind, revoked.UserID, revoked.KeyID, revoked.Detail = audit.KeyRevoked, userID, id, "with "+string(cause.Kind)
		if err := db.record(ctx, tx, revoked, userID, "", id); err != nil {
			return err
		}
	}
	return nil
}

// replaceKey puts k in the place of key old, and returns the id of the key that old had replaced, if that one still lived. The
// account is held: nobody else changes its keys.
func (db *DB) replaceKey(ctx context.Context, tx *sql.Tx, old string, k apikey.Key, expiresAt time.Time) (before string, err error) {
	replaced, err := scanKey(tx.QueryRowContext(ctx, keyOfUser+db.lockRow, old, k.UserID))
	if err != nil {
		return "", err
	}
	var already bool
	if err := tx.QueryRowContext(ctx, isReplaced, old).Scan(&already); err != nil {
		return "", err
	}
	if already || !replaced.Live(k.CreatedAt) {
		return "", apikey.ErrNotRotatable
	}

	k.Name, k.Tier = replaced.Name, replaced.Tier
	if err := db.insertKey(ctx, tx, k); err != nil {
		return "", err
	}
	if !expiresAt.After(k.CreatedAt) {
		replaced.RevokedAt = k.CreatedAt
	} else if replaced.ExpiresAt.IsZero() || expiresAt.Before(replaced.ExpiresAt) {
		replaced.ExpiresAt = expiresAt
	}
	if err := execIn(ctx, tx, replaceKey, old, k.ID, db.at(replaced.ExpiresAt), db.at(replaced.RevokedAt)); err != nil {
		return "", err
	}
	before, err = scanString(tx.QueryRowContext(ctx, revokeReplaced, k.UserID, db.at(k.CreatedAt), old))
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return before, err
}

// KeyByID implements [apikey.Store].
func (db *DB) KeyByID(ctx context.Context, userID, id string) (apikey.Key, error) {
	if !isID(userID) || !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return find(ctx, db, "find key of account", apikey.ErrNotFound, scanKey, keyOfUser, id, userID)
}

// KeyByHash implements [apikey.Store].
func (db *DB) KeyByHash(ctx context.Context, hash [sha256.Size]byte) (apikey.Key, error) {
	return find(ctx, db, "find key", apikey.ErrNotFound, scanKey, keyByHash, hash[:])
}

func scanKey(r row) (apikey.Key, error) {
	var k apikey.Key
	err := r.Scan(&k.ID, &k.UserID, &k.Name, &k.Prefix, digestInto(&k.Hash), &k.Tier,
		timeInto(&k.CreatedAt), timeInto(&k.LastUsedAt), timeInto(&k.ExpiresAt), timeInto(&k.RevokedAt))
	return k, err
}

// Keys implements [apikey.Store].
func (db *DB) Keys(ctx context.Context, userID string, f apikey.Filter) ([]apikey.Key, error) {
	const op = "list keys"
	if !isID(userID) {
		return nil, nil
	}
	if f.After == "" {
		return list(ctx, db, op, scanKey, firstKeys, userID, orAll(f.Limit))
	}
	last, err := db.KeyByID(ctx, userID, f.After)
	if err != nil {
		return nil, err
	}
	return list(ctx, db, op, scanKey, keysBefore, userID, db.at(last.CreatedAt), last.ID, orAll(f.Limit))
}

// RevokeKey implements [apikey.Store].
func (db *DB) RevokeKey(ctx context.Context, userID, id string, revoked audit.Entry) error {
	if !isID(userID) || !isID(id) {
		return apikey.ErrNotFound
	}
	err := db.tx(ctx, "revoke key", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, revokeKey, id, userID, db.at(revoked.At)))
		if err != nil {
			return err
		}
		if n > 0 {
			return db.record(ctx, tx, revoked, userID, "", id)
		}
		_, err = scanKey(tx.QueryRowContext(ctx, keyOfUser, id, userID))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.ErrNotFound
	}
	return db.tell(ctx, err, revocation.Notice{Kind: revocation.Key, ID: id})
}

// KeysUsed implements [apikey.Store].
func (db *DB) KeysUsed(ctx context.Context, uses map[string]time.Time) error {
	var ids []string
	var at []time.Time
	for _, id := range slices.Sorted(maps.Keys(uses)) { // those that note uses at once wait for each other, hardly ever in a circle
		if isID(id) {
			ids, at = append(ids, id), append(at, uses[id])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return db.tx(ctx, "note uses of keys", func(ctx context.Context, tx *sql.Tx) error {
		return db.updateUses(ctx, tx, ids, at)
	})
}

// updateUsesSingly is the way of SQLite.
func updateUsesSingly(ctx context.Context, tx *sql.Tx, ids []string, at []time.Time) error {
	ctx = context.WithoutCancel(ctx)
	for i, id := range ids {
		if err := execIn(ctx, tx, updateUse, id, microseconds(at[i])); err != nil {
			return err
		}
	}
	return nil
}

// updateUsesTogether is the way of Postgres.
func updateUsesTogether(ctx context.Context, tx *sql.Tx, ids []string, at []time.Time) error {
	return execIn(ctx, tx, updateUses, ids, at)
}
