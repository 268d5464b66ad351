package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/apikey"
)

const (
	selectIssue = `SELECT idempotency_key, fingerprint, sealed, expires_at FROM api_key_issues
		WHERE user_id = $1 AND idempotency_key = $2 AND expires_at > $3`
	upsertIssue = `INSERT INTO api_key_issues (user_id, idempotency_key, fingerprint, sealed, expires_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, idempotency_key) DO UPDATE
		SET fingerprint = excluded.fingerprint, sealed = excluded.sealed, expires_at = excluded.expires_at`

	selectOwner  = `SELECT user_id FROM users WHERE user_id = $1`
	countLive    = `SELECT count(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`
	insertAPIKey = `INSERT INTO api_keys (key_id, user_id, name, prefix, hash, tier, created_at, last_used_at, expires_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	keyByHash = `SELECT k.key_id, k.user_id, k.name, k.prefix, k.hash, k.tier, k.created_at, k.last_used_at, k.expires_at,
		coalesce(k.revoked_at, u.disabled_at) FROM api_keys k JOIN users u ON u.user_id = k.user_id WHERE k.hash = $1`
	updateUse = `UPDATE api_keys SET last_used_at = $2 WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`
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
func (db *DB) CreateKey(ctx context.Context, k apikey.Key, quota int, issue apikey.Issue) (apikey.Issue, error) {
	if !isID(k.UserID) {
		return apikey.Issue{}, apikey.ErrNotFound
	}
	kept := issue
	err := db.tx(ctx, "create key", func(ctx context.Context, tx *sql.Tx) (err error) {
		if _, err = scanString(tx.QueryRowContext(ctx, selectOwner+db.lockRow, k.UserID)); err != nil {
			return err
		}
		kept, err = db.keptIssue(ctx, tx, k, issue)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		kept = issue
		return db.insertKey(ctx, tx, k, quota, issue)
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

func (db *DB) insertKey(ctx context.Context, tx *sql.Tx, k apikey.Key, quota int, issue apikey.Issue) error {
	var live int
	if err := tx.QueryRowContext(ctx, countLive, k.UserID, db.at(k.CreatedAt)).Scan(&live); err != nil {
		return err
	}
	if live >= quota {
		return apikey.ErrQuotaExceeded
	}
	_, err := tx.ExecContext(ctx, insertAPIKey, k.ID, k.UserID, k.Name, k.Prefix, k.Hash[:], k.Tier,
		db.at(k.CreatedAt), db.at(k.LastUsedAt), db.at(k.ExpiresAt), db.at(k.RevokedAt))
	if err != nil || issue.IdempotencyKey == "" {
		return err
	}
	_, err = tx.ExecContext(ctx, upsertIssue,
		k.UserID, issue.IdempotencyKey, issue.Fingerprint[:], issue.Sealed, db.at(issue.ExpiresAt))
	return err
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

// KeyUsed implements [apikey.Store].
func (db *DB) KeyUsed(ctx context.Context, keyID string, now time.Time) error {
	if !isID(keyID) {
		return nil
	}
	_, err := db.exec(ctx, "note use of key", updateUse, keyID, db.at(now))
	return err
}
