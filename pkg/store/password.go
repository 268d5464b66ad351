package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/revocation"
)

const (
	insertPassword = `INSERT INTO password_credentials (user_id, password_hash, password_changed_at) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO NOTHING`
	upsertPassword = `INSERT INTO password_credentials (user_id, password_hash, password_changed_at) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO UPDATE
		SET password_hash = excluded.password_hash, password_changed_at = excluded.password_changed_at`
	selectPassword = `SELECT password_hash FROM password_credentials WHERE user_id = $1`
	updatePassword = `UPDATE password_credentials SET password_hash = $3, password_changed_at = $4
		WHERE user_id = $1 AND password_hash = $2`
	credentialsByEmail = `SELECT ` + userColumns + `, coalesce(p.password_hash, '') FROM users
		LEFT JOIN password_credentials p ON p.user_id = users.user_id WHERE lower(users.primary_email) = $1`

	insertToken = `INSERT INTO email_action_tokens (token_id, user_id, action_type, token_hash, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`
	spendToken = `UPDATE email_action_tokens SET used_at = $3
		WHERE token_hash = $1 AND action_type = $2 AND used_at IS NULL AND expires_at > $3 RETURNING user_id`
	voidTokens  = `UPDATE email_action_tokens SET used_at = $3 WHERE user_id = $1 AND action_type = $2 AND used_at IS NULL`
	userOfToken = selectUsers + ` JOIN email_action_tokens t ON t.user_id = users.user_id
		WHERE t.token_hash = $1 AND t.action_type = $2 AND t.used_at IS NULL AND t.expires_at > $3`

	selectVerified = `SELECT primary_email_verified FROM users WHERE user_id = $1`
	verifyUser     = `UPDATE users SET primary_email_verified = TRUE WHERE user_id = $1`
)

// Credentials implements [account.Store].
func (db *DB) Credentials(ctx context.Context, email string) (account.User, string, error) {
	if !isText(email) {
		return account.User{}, "", account.ErrNotFound
	}
	type credentials struct {
		user account.User
		hash string
	}
	scan := func(r row) (c credentials, err error) {
		err = r.Scan(append(userInto(&c.user), &c.hash)...)
		return c, err
	}
	c, err := find(ctx, db, "find credentials", account.ErrNotFound, scan, credentialsByEmail, strings.ToLower(email))
	return c.user, c.hash, err
}

// PasswordHash implements [account.Store].
func (db *DB) PasswordHash(ctx context.Context, userID string) (string, error) {
	if !isID(userID) {
		return "", nil
	}
	hash, err := find(ctx, db, "find password", account.ErrNotFound, scanString, selectPassword, userID)
	if errors.Is(err, account.ErrNotFound) {
		return "", nil
	}
	return hash, err
}

// holdPassword returns ErrChanged unless hash, if it is not "", is the user's, and keeps it so to the end of the transaction.
func (db *DB) holdPassword(ctx context.Context, tx *sql.Tx, userID, hash string) error {
	if hash == "" {
		return nil
	}
	present, err := scanString(tx.QueryRowContext(ctx, selectPassword+db.lockRow, userID))
	if errors.Is(err, sql.ErrNoRows) || err == nil && present != hash {
		return account.ErrChanged
	}
	return err
}

// SetPasswordHash implements [account.Store].
func (db *DB) SetPasswordHash(ctx context.Context, userID, old, replacement string, now time.Time) error {
	if !isID(userID) {
		return nil
	}
	_, err := db.exec(ctx, "replace password", updatePassword, userID, old, replacement, db.at(now))
	return err
}

// ChangePassword implements [account.Store].
func (db *DB) ChangePassword(ctx context.Context, userID, old, replacement, keep string, changed audit.Entry) error {
	if !isID(userID) {
		return account.ErrChanged
	}
	at := db.at(changed.At)
	err := db.tx(ctx, "change password", func(ctx context.Context, tx *sql.Tx) (err error) {
		if old == "" {
			err = execOne(ctx, tx, account.ErrChanged, insertPassword, userID, replacement, at)
		} else {
			err = execOne(ctx, tx, account.ErrChanged, updatePassword, userID, old, replacement, at)
		}
		if err != nil {
			return err
		}
		if err := execIn(ctx, tx, voidTokens, userID, string(mail.KindResetPassword), at); err != nil {
			return err
		}
		if err := revokeBut(ctx, tx, userID, keep, at); err != nil {
			return err
		}
		return db.record(ctx, tx, changed, userID, keep, "")
	})
	if isOrphan(err) {
		return account.ErrChanged
	}
	return db.tell(ctx, err, revocation.Notice{Kind: revocation.User, ID: userID})
}

// revokeBut revokes the sessions of a user but keep, and takes the codes that more could begin with.
func revokeBut(ctx context.Context, tx *sql.Tx, userID, keep string, at any) (err error) {
	if isID(keep) {
		err = execIn(ctx, tx, revokeUserBut, userID, at, keep)
	} else {
		err = execIn(ctx, tx, revokeUser, userID, at)
	}
	if err != nil {
		return err
	}
	return execIn(ctx, tx, deleteCodes, userID)
}

// CreateActionToken implements [account.Store].
func (db *DB) CreateActionToken(ctx context.Context, t account.ActionToken, requested audit.Entry) error {
	if !isID(t.UserID) {
		return account.ErrNotFound
	}
	err := db.tx(ctx, "create action token", func(ctx context.Context, tx *sql.Tx) error {
		err := execIn(ctx, tx, insertToken, t.ID, t.UserID, string(t.Kind), hex.EncodeToString(t.Hash[:]),
			db.at(t.CreatedAt), db.at(t.ExpiresAt))
		if err != nil {
			return err
		}
		return db.record(ctx, tx, requested, t.UserID, "", "")
	})
	if isOrphan(err) {
		return account.ErrNotFound
	}
	return err
}

// ActionUser implements [account.Store].
func (db *DB) ActionUser(
	ctx context.Context, kind mail.Kind, hash [sha256.Size]byte, now time.Time,
) (account.User, error) {
	return find(ctx, db, "find account of action token", account.ErrNotFound, scanUser,
		userOfToken, hex.EncodeToString(hash[:]), string(kind), db.at(now))
}

// VerifyEmail implements [account.Store].
func (db *DB) VerifyEmail(ctx context.Context, hash [sha256.Size]byte, verified audit.Entry) error {
	return db.tx(ctx, "verify e-mail", func(ctx context.Context, tx *sql.Tx) error {
		userID, err := spend(ctx, tx, mail.KindVerifyEmail, hash, db.at(verified.At))
		if err != nil {
			return err
		}
		if err := execIn(ctx, tx, verifyUser, userID); err != nil {
			return err
		}
		return db.record(ctx, tx, verified, userID, "", "")
	})
}

// spend uses a token up, and returns whose it was.
func spend(ctx context.Context, tx *sql.Tx, kind mail.Kind, hash [sha256.Size]byte, at any) (userID string, err error) {
	userID, err = scanString(tx.QueryRowContext(ctx, spendToken, hex.EncodeToString(hash[:]), string(kind), at))
	if errors.Is(err, sql.ErrNoRows) {
		return "", account.ErrNotFound
	}
	return userID, err
}

// ResetPassword implements [account.Store].
func (db *DB) ResetPassword(ctx context.Context, hash [sha256.Size]byte, passwordHash string, reset audit.Entry) error {
	at := db.at(reset.At)
	var userID string
	err := db.tx(ctx, "reset password", func(ctx context.Context, tx *sql.Tx) (err error) {
		if userID, err = spend(ctx, tx, mail.KindResetPassword, hash, at); err != nil {
			return err
		}
		if err := db.disownStrangers(ctx, tx, userID, reset); err != nil {
			return err
		}
		if err := execIn(ctx, tx, upsertPassword, userID, passwordHash, at); err != nil {
			return err
		}
		if err := execIn(ctx, tx, voidTokens, userID, string(mail.KindResetPassword), at); err != nil {
			return err
		}
		if err := revokeBut(ctx, tx, userID, "", at); err != nil {
			return err
		}
		return db.record(ctx, tx, reset, userID, "", "")
	})
	return db.tell(ctx, err, revocation.Notice{Kind: revocation.User, ID: userID})
}

// disownStrangers notes that the e-mail of an account is verified. If it was not before, the account may have been made by
// somebody who does not read that mail: no way in that they left stays open.
func (db *DB) disownStrangers(ctx context.Context, tx *sql.Tx, userID string, reset audit.Entry) error {
	var verified bool
	if err := tx.QueryRowContext(ctx, selectVerified+db.lockRow, userID).Scan(&verified); err != nil || verified {
		return err
	}
	if err := execIn(ctx, tx, verifyUser, userID); err != nil {
		return err
	}
	providers, err := changeIn(ctx, tx, deleteIdentities, userID)
	if err != nil {
		return err
	}
	for _, provider := range providers {
		removed := reset
		removed.Kind, removed.Detail = audit.IdentityRemoved, provider
		if err := db.record(ctx, tx, removed, userID, "", ""); err != nil {
			return err
		}
	}
	keys, err := changeIn(ctx, tx, revokeKeys, userID, db.at(reset.At))
	if err != nil {
		return err
	}
	return db.recordRevoked(ctx, tx, reset, userID, keys...)
}

// changeIn runs one statement that changes rows, in a transaction, and returns the text that it tells of each.
func changeIn(ctx context.Context, tx *sql.Tx, statement string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanString)
}
