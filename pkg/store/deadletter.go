package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
)

const (
	insertLetter = `INSERT INTO sync_dead_letters (letter_id, user_id, session_id, received_at, rejected, body, size)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
	// The newest stays, whatever its size.
	dropExcess = `DELETE FROM sync_dead_letters WHERE letter_id IN (SELECT letter_id FROM (
			SELECT letter_id, row_number() OVER newest AS n, sum(length(rejected) + length(body)) OVER newest AS bytes
			FROM sync_dead_letters WHERE user_id = $1 WINDOW newest AS (ORDER BY received_at DESC, letter_id DESC)
		) AS due WHERE n > $2 OR n > 1 AND bytes > $3)`

	letterHeads = `SELECT letter_id, user_id, session_id, received_at, rejected, NULL, size FROM sync_dead_letters
		WHERE (received_at, letter_id) < ($1, $2)`
	lettersOfUser = ` AND user_id = $4`
	lettersNewest = ` ORDER BY received_at DESC, letter_id DESC LIMIT $3`
	letterByID    = `SELECT letter_id, user_id, session_id, received_at, rejected, body, size FROM sync_dead_letters WHERE letter_id = $1`
	deleteLetter  = `DELETE FROM sync_dead_letters WHERE letter_id = $1 RETURNING user_id`
)

// lastID is after every ID that a server gives.
const lastID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// keepLetter keeps a dead letter, in the place of the user's oldest where there are too many.
func (db *DB) keepLetter(ctx context.Context, tx *sql.Tx, l library.DeadLetter) error {
	err := execIn(ctx, tx, insertLetter, l.ID, l.UserID, l.SessionID, db.at(l.ReceivedAt), l.Rejected, l.Body, l.Size)
	if err != nil {
		return err
	}
	return execIn(ctx, tx, dropExcess, l.UserID, library.MaxLetters, library.MaxLetterBytes)
}

// DeadLetters implements [library.Store]. It returns library.ErrNotFound where l.Before is unknown.
func (db *DB) DeadLetters(ctx context.Context, l library.Letters) ([]library.DeadLetter, error) {
	const op = "list dead letters"
	if l.UserID != "" && !isID(l.UserID) {
		return nil, nil
	}
	at, id := farFuture, lastID
	if l.Before != "" {
		last, err := db.DeadLetter(ctx, l.UserID, l.Before)
		if err != nil {
			return nil, err
		}
		at, id = last.ReceivedAt, last.ID
	}
	if l.UserID == "" {
		return list(ctx, db, op, scanLetter, letterHeads+lettersNewest, db.at(at), id, orAll(l.Limit))
	}
	return list(ctx, db, op, scanLetter, letterHeads+lettersOfUser+lettersNewest, db.at(at), id, orAll(l.Limit), l.UserID)
}

func scanLetter(r row) (library.DeadLetter, error) {
	var l library.DeadLetter
	err := r.Scan(&l.ID, &l.UserID, &l.SessionID, timeInto(&l.ReceivedAt), &l.Rejected, &l.Body, &l.Size)
	return l, err
}

// DeadLetter implements [library.Store].
func (db *DB) DeadLetter(ctx context.Context, userID, id string) (library.DeadLetter, error) {
	if !isID(id) {
		return library.DeadLetter{}, library.ErrNotFound
	}
	l, err := find(ctx, db, "find dead letter", library.ErrNotFound, scanLetter, letterByID, id)
	if err == nil && userID != "" && l.UserID != userID {
		return library.DeadLetter{}, library.ErrNotFound
	}
	return l, err
}

// DropDeadLetter implements [library.Store].
func (db *DB) DropDeadLetter(ctx context.Context, id string, dropped audit.Entry) error {
	if !isID(id) {
		return library.ErrNotFound
	}
	return db.tx(ctx, "drop dead letter", func(ctx context.Context, tx *sql.Tx) error {
		userID, err := scanString(tx.QueryRowContext(ctx, deleteLetter, id))
		if errors.Is(err, sql.ErrNoRows) {
			return library.ErrNotFound
		}
		if err != nil {
			return err
		}
		return db.record(ctx, tx, dropped, userID, "", "")
	})
}
