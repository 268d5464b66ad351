package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/provisioner/provisioner/pkg/idempotency"
)

const (
	insertClaim = `INSERT INTO idempotency_claims
		(intent_key, account, fingerprint, owner, upstream_key, lease_ends_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
	selectClaim = `SELECT account, fingerprint, owner, upstream_key, answer, lease_ends_at, expires_at
		FROM idempotency_claims WHERE intent_key = $1`
	replaceClaim = `UPDATE idempotency_claims SET account = $2, fingerprint = $3, owner = $4, upstream_key = $5,
		lease_ends_at = $6, expires_at = $7, answer = NULL WHERE intent_key = $1`
	takeClaim     = `UPDATE idempotency_claims SET owner = $2, lease_ends_at = $3 WHERE intent_key = $1`
	completeClaim = `UPDATE idempotency_claims SET answer = $3 WHERE intent_key = $1 AND owner = $2 AND answer IS NULL`
	releaseClaim  = `DELETE FROM idempotency_claims WHERE intent_key = $1 AND owner = $2 AND answer IS NULL`
	abandonClaim  = `UPDATE idempotency_claims SET lease_ends_at = $3 WHERE intent_key = $1 AND owner = $2 AND answer IS NULL`
)

// Claim implements [idempotency.Store].
func (db *DB) Claim(ctx context.Context, c idempotency.Claim, now time.Time) (idempotency.Claim, error) {
	const op = "claim intent"
	n, err := db.exec(ctx, op, insertClaim, db.claimRow(c, now)...)
	if err != nil {
		return idempotency.Claim{}, err
	}
	if n == 1 {
		return c, nil
	}

	var standing idempotency.Claim
	err = db.tx(ctx, op, func(ctx context.Context, tx *sql.Tx) (err error) {
		standing, err = db.reclaim(ctx, tx, c, now)
		return err
	})
	if err != nil {
		return idempotency.Claim{}, err
	}
	return standing, nil
}

// claimRow returns the columns of a new claim, in the order of insertClaim and replaceClaim.
func (db *DB) claimRow(c idempotency.Claim, now time.Time) []any {
	return []any{
		c.Key[:], c.Account, c.Fingerprint[:], c.Owner, c.UpstreamKey,
		db.at(now.Add(idempotency.Lease)), db.at(now.Add(c.TTL)),
	}
}

// reclaim judges a claim of an intent that has a row.
func (db *DB) reclaim(ctx context.Context, tx *sql.Tx, c idempotency.Claim, now time.Time) (idempotency.Claim, error) {
	kept, err := scanClaim(tx.QueryRowContext(ctx, selectClaim+db.lockRow, c.Key[:]))
	switch {
	case errors.Is(err, sql.ErrNoRows): // released since: the next try finds it free
		return c, idempotency.ErrBusy
	case err != nil:
		return c, err
	case kept.forgotten(now):
		_, err = tx.ExecContext(ctx, replaceClaim, db.claimRow(c, now)...)
		return c, err
	case kept.Fingerprint != c.Fingerprint:
		return c, idempotency.ErrReused
	}

	standing := kept.Claim
	standing.Intent = c.Intent
	if kept.Answer != nil {
		return standing, nil
	}
	if kept.Owner != c.Owner && now.Before(kept.leaseEnds) {
		return c, idempotency.ErrBusy
	}
	standing.Owner = c.Owner
	_, err = tx.ExecContext(ctx, takeClaim, c.Key[:], c.Owner, db.at(now.Add(idempotency.Lease)))
	return standing, err
}

// keptClaim is a claim with the times that the store keeps beside it.
type keptClaim struct {
	idempotency.Claim
	leaseEnds, expires time.Time
}

// forgotten reports whether the intent's time is over. Work that still holds its lease is waited for even so.
func (k keptClaim) forgotten(now time.Time) bool {
	return !now.Before(k.expires) && (k.Answer != nil || !now.Before(k.leaseEnds))
}

func scanClaim(r row) (keptClaim, error) {
	var k keptClaim
	err := r.Scan(&k.Account, digestInto(&k.Fingerprint), &k.Owner, &k.UpstreamKey, &k.Answer,
		timeInto(&k.leaseEnds), timeInto(&k.expires))
	return k, err
}

// Complete implements [idempotency.Store].
func (db *DB) Complete(ctx context.Context, c idempotency.Claim) error {
	n, err := db.exec(ctx, "keep answer", completeClaim, c.Key[:], c.Owner, c.Answer)
	if err == nil && n == 0 {
		return idempotency.ErrLost
	}
	return err
}

// Release implements [idempotency.Store].
func (db *DB) Release(ctx context.Context, c idempotency.Claim) error {
	_, err := db.exec(ctx, "release claim", releaseClaim, c.Key[:], c.Owner)
	return err
}

// Abandon implements [idempotency.Store].
func (db *DB) Abandon(ctx context.Context, c idempotency.Claim, now time.Time) error {
	_, err := db.exec(ctx, "abandon claim", abandonClaim, c.Key[:], c.Owner, db.at(now))
	return err
}
