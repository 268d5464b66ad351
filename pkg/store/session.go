package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/provisioner/provisioner/pkg/session"
)

const (
	insertSession = `INSERT INTO auth_sessions (session_id, user_id, counter, client_type, device_label,
		created_at, last_seen_at, expires_at, ends_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

	sessionColumns = `session_id, user_id, counter, client_type, coalesce(device_label, ''),
		created_at, last_seen_at, expires_at, ends_at, revoked_at`
	sessionByID = `SELECT ` + sessionColumns + ` FROM auth_sessions WHERE session_id = $1`

	stepSession = `UPDATE auth_sessions SET counter = counter + 1, last_seen_at = $3, expires_at = $4
		WHERE session_id = $1 AND counter = $2 AND revoked_at IS NULL AND expires_at > $3 AND ends_at > $3
		RETURNING ` + sessionColumns

	revokeSession = `UPDATE auth_sessions SET revoked_at = $2 WHERE session_id = $1 AND revoked_at IS NULL`
	revokeUser    = `UPDATE auth_sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL`
	revokeAll     = `UPDATE auth_sessions SET revoked_at = $2 WHERE revoked_at IS NULL
		AND user_id = (SELECT of.user_id FROM auth_sessions of WHERE of.session_id = $1)`
	revokeOthers = revokeAll + ` AND session_id <> $1`
)

// CreateSession implements [session.Store].
func (db *DB) CreateSession(ctx context.Context, s session.Session) error {
	_, err := db.exec(ctx, "create session", insertSession, s.ID, s.UserID, s.Counter, s.ClientType, s.DeviceLabel,
		db.at(s.CreatedAt), db.at(s.LastSeenAt), db.at(s.ExpiresAt), db.at(s.EndsAt), db.at(s.RevokedAt))
	if isOrphan(err) {
		return session.ErrNotFound
	}
	return err
}

// SessionByID implements [session.Store].
func (db *DB) SessionByID(ctx context.Context, id string) (session.Session, error) {
	if !isID(id) {
		return session.Session{}, session.ErrNotFound
	}
	return find(ctx, db, "find session", session.ErrNotFound, scanSession, sessionByID, id)
}

func scanSession(r row) (session.Session, error) {
	var s session.Session
	err := r.Scan(&s.ID, &s.UserID, &s.Counter, &s.ClientType, &s.DeviceLabel, timeInto(&s.CreatedAt),
		timeInto(&s.LastSeenAt), timeInto(&s.ExpiresAt), timeInto(&s.EndsAt), timeInto(&s.RevokedAt))
	return s, err
}

// Rotate implements [session.Store].
func (db *DB) Rotate(
	ctx context.Context, id string, presented uint64, now, expiresAt time.Time,
) (session.Session, error) {
	if !isID(id) || presented >= math.MaxInt64 {
		return session.Session{}, session.ErrNotFound
	}
	var s session.Session
	var reused bool
	err := db.tx(ctx, "rotate session", func(ctx context.Context, tx *sql.Tx) (err error) {
		s, err = scanSession(tx.QueryRowContext(ctx, stepSession, id, presented, db.at(now), db.at(expiresAt)))
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		s, reused, err = db.present(ctx, tx, id, presented, now)
		return err
	})
	if err == nil && reused {
		err = fmt.Errorf("rotate session: %w", session.ErrReused) // only once its revocation is committed
	}
	if err != nil {
		return session.Session{}, err
	}
	return s, nil
}

// present judges a counter that is not the current one of a live session, and revokes the session for one that was used.
func (db *DB) present(
	ctx context.Context, tx *sql.Tx, id string, presented uint64, now time.Time,
) (s session.Session, reused bool, err error) {
	s, err = scanSession(tx.QueryRowContext(ctx, sessionByID+db.lockRow, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s, false, session.ErrNotFound
	case err != nil:
		return s, false, err
	case !s.Live(now), presented >= s.Counter:
		return s, false, session.ErrNotFound
	case presented+1 == s.Counter:
		return s, false, nil
	}
	_, err = tx.ExecContext(ctx, revokeSession, id, db.at(now))
	return s, true, err
}

// Revoke implements [session.Store].
func (db *DB) Revoke(ctx context.Context, id string, scope session.Scope, now time.Time) error {
	if !isID(id) {
		return nil
	}
	statement := revokeSession
	switch scope {
	case session.Local:
	case session.Others:
		statement = revokeOthers
	case session.Global:
		statement = revokeAll
	default:
		return fmt.Errorf("revoke sessions: unknown scope %d", scope)
	}
	_, err := db.exec(ctx, "revoke sessions", statement, id, db.at(now))
	return err
}
