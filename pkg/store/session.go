package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/session"
)

const (
	insertSession = `INSERT INTO auth_sessions (session_id, user_id, counter, client_type, device_label,
		created_at, last_seen_at, expires_at, ends_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

	sessionColumns = `session_id, user_id, counter, client_type, coalesce(device_label, ''),
		created_at, last_seen_at, expires_at, ends_at, revoked_at`
	sessionByID  = `SELECT ` + sessionColumns + ` FROM auth_sessions WHERE session_id = $1`
	liveSessions = `SELECT ` + sessionColumns + ` FROM auth_sessions
		WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND ends_at > $2 ORDER BY last_seen_at DESC, session_id`
	userOfSession   = `SELECT user_id FROM auth_sessions WHERE session_id = $1`
	adoptedSession  = `SELECT session_id FROM auth_sessions WHERE refresh_token_hash = $1`
	adoptedSessions = `SELECT EXISTS (SELECT 1 FROM auth_sessions WHERE refresh_token_hash IS NOT NULL AND revoked_at IS NULL)`

	stepSession = `UPDATE auth_sessions SET counter = counter + 1, last_seen_at = $3, expires_at = $4
		WHERE session_id = $1 AND counter = $2 AND revoked_at IS NULL AND expires_at > $3 AND ends_at > $3
		RETURNING ` + sessionColumns

	revokeSession = `UPDATE auth_sessions SET revoked_at = $2 WHERE session_id = $1 AND revoked_at IS NULL`
	revokeUser    = `UPDATE auth_sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL`
	revokeUserBut = revokeUser + ` AND session_id <> $3`
)

// sessionRow returns the columns of a session, in the order of insertSession.
func (db *DB) sessionRow(s session.Session) []any {
	return []any{
		s.ID, s.UserID, s.Counter, s.ClientType, s.DeviceLabel,
		db.at(s.CreatedAt), db.at(s.LastSeenAt), db.at(s.ExpiresAt), db.at(s.EndsAt), db.at(s.RevokedAt),
	}
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

// AdoptedSession implements [session.Store].
func (db *DB) AdoptedSession(ctx context.Context, tokenHash [sha256.Size]byte) (string, error) {
	return find(ctx, db, "find adopted session", session.ErrNotFound, scanString, adoptedSession, hex.EncodeToString(tokenHash[:]))
}

// HasAdoptedSessions reports whether a session that is not revoked began before this server, with a refresh token of another form.
// New ones never do.
func (db *DB) HasAdoptedSessions(ctx context.Context) (bool, error) {
	scan := func(r row) (exists bool, err error) {
		err = r.Scan(&exists)
		return exists, err
	}
	return find(ctx, db, "find adopted sessions", session.ErrNotFound, scan, adoptedSessions)
}

// LiveSessions implements [session.Store].
func (db *DB) LiveSessions(ctx context.Context, userID string, now time.Time) ([]session.Session, error) {
	if !isID(userID) {
		return nil, nil
	}
	return list(ctx, db, "list sessions", scanSession, liveSessions, userID, db.at(now))
}

// Rotate implements [session.Store]. The current token costs one statement, its predecessor another that locks nothing.
func (db *DB) Rotate(
	ctx context.Context, id string, presented uint64, now, expiresAt time.Time, reused audit.Entry,
) (session.Session, error) {
	const op = "rotate session"
	if !isID(id) || presented >= math.MaxInt64 {
		return session.Session{}, session.ErrNotFound
	}
	s, err := change(ctx, db, op, session.ErrNotFound, scanSession, stepSession, id, presented, db.at(now), db.at(expiresAt))
	if !errors.Is(err, session.ErrNotFound) {
		return s, err
	}

	s, err = find(ctx, db, op, session.ErrNotFound, scanSession, sessionByID, id)
	switch {
	case err != nil:
		return session.Session{}, err
	case !s.Live(now), presented >= s.Counter:
		return session.Session{}, session.ErrNotFound
	case presented+1 == s.Counter:
		return s, nil
	}
	if err := db.endReused(ctx, s, reused); err != nil {
		return session.Session{}, err
	}
	return session.Session{}, fmt.Errorf("%s: %w", op, session.ErrReused)
}

// endReused revokes a session whose counter has gone past one that is presented again.
func (db *DB) endReused(ctx context.Context, s session.Session, reused audit.Entry) error {
	err := db.tx(ctx, "revoke reused session", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, revokeSession, s.ID, db.at(reused.At)))
		if err != nil || n == 0 { // somebody else has
			return err
		}
		return db.record(ctx, tx, reused, s.UserID, s.ID, "")
	})
	return db.tell(ctx, err, revocation.Notice{Kind: revocation.Session, ID: s.ID})
}

// Revoke implements [session.Store].
func (db *DB) Revoke(ctx context.Context, id string, scope session.Scope, done audit.Entry) error {
	if !isID(id) {
		return nil
	}
	var notice revocation.Notice
	err := db.tx(ctx, "revoke sessions", func(ctx context.Context, tx *sql.Tx) error {
		userID, err := scanString(tx.QueryRowContext(ctx, userOfSession, id))
		if err != nil {
			return err
		}
		notice = noticeOf(scope, id, userID)
		var n int64
		switch at := db.at(done.At); scope {
		case session.Local:
			n, err = changed(tx.ExecContext(ctx, revokeSession, id, at))
		case session.Others:
			n, err = changed(tx.ExecContext(ctx, revokeUserBut, userID, at, id))
		case session.Global:
			n, err = changed(tx.ExecContext(ctx, revokeUser, userID, at))
		default:
			err = fmt.Errorf("unknown scope %d", scope)
		}
		if err != nil || n == 0 {
			return err
		}
		return db.record(ctx, tx, done, userID, id, "")
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return db.tell(ctx, err, notice)
}

// noticeOf returns the notice of what a scope ended.
func noticeOf(scope session.Scope, id, userID string) revocation.Notice {
	if scope == session.Local {
		return revocation.Notice{Kind: revocation.Session, ID: id}
	}
	return revocation.Notice{Kind: revocation.User, ID: userID}
}
