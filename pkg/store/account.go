package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
)

const (
	insertUser = `INSERT INTO users (user_id, primary_email, primary_email_verified, display_name, avatar_url, plan,
		created_at, last_login_at, disabled_at) VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9)
		ON CONFLICT (lower(primary_email)) DO NOTHING`
	insertPassword = `INSERT INTO password_credentials (user_id, password_hash, password_changed_at) VALUES ($1, $2, $3)`

	selectUsers = `SELECT user_id, primary_email, primary_email_verified, display_name, coalesce(avatar_url, ''), plan,
		created_at, last_login_at, disabled_at FROM users`
	userByID    = selectUsers + ` WHERE user_id = $1`
	userByEmail = selectUsers + ` WHERE lower(primary_email) = $1`
	usersAfter  = selectUsers + ` WHERE (created_at, user_id) > ($1, $2) ORDER BY created_at, user_id LIMIT $3`
	firstUsers  = selectUsers + ` ORDER BY created_at, user_id LIMIT $1`

	selectPassword = `SELECT password_hash FROM password_credentials WHERE user_id = $1`
	updatePassword = `UPDATE password_credentials SET password_hash = $3, password_changed_at = $4
		WHERE user_id = $1 AND password_hash = $2`
	updateLogin    = `UPDATE users SET last_login_at = $2 WHERE user_id = $1`
	updatePlan     = `UPDATE users SET plan = $2 WHERE user_id = $1`
	updateDisabled = `UPDATE users SET disabled_at = $2 WHERE user_id = $1`
	deleteUser     = `DELETE FROM users WHERE user_id = $1`
	deleteEvents   = `DELETE FROM events WHERE user_id = $1`
	deleteClaims   = `DELETE FROM idempotency_claims WHERE account = $1`
)

// CreateUser implements [account.Store].
func (db *DB) CreateUser(ctx context.Context, u account.User, passwordHash string) error {
	return db.tx(ctx, "create account", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, insertUser, u.ID, u.Email, u.EmailVerified, u.DisplayName, u.AvatarURL, u.Plan,
			db.at(u.CreatedAt), db.at(u.LastLoginAt), db.at(u.DisabledAt)))
		if err != nil {
			return err
		}
		if n == 0 {
			return account.ErrEmailTaken
		}
		_, err = tx.ExecContext(ctx, insertPassword, u.ID, passwordHash, db.at(u.CreatedAt))
		return err
	})
}

// UserByID implements [account.Store].
func (db *DB) UserByID(ctx context.Context, id string) (account.User, error) {
	if !isID(id) {
		return account.User{}, account.ErrNotFound
	}
	return find(ctx, db, "find account", account.ErrNotFound, scanUser, userByID, id)
}

// UserByEmail implements [account.Store].
func (db *DB) UserByEmail(ctx context.Context, email string) (account.User, error) {
	if !isText(email) {
		return account.User{}, account.ErrNotFound
	}
	return find(ctx, db, "find account by email", account.ErrNotFound, scanUser, userByEmail, strings.ToLower(email))
}

// Users implements [account.Store].
func (db *DB) Users(ctx context.Context, f account.Filter) ([]account.User, error) {
	limit := orAll(f.Limit)
	if f.After == "" {
		return list(ctx, db, "list accounts", scanUser, firstUsers, limit)
	}
	last, err := db.UserByID(ctx, f.After)
	if err != nil {
		return nil, err
	}
	return list(ctx, db, "list accounts", scanUser, usersAfter, db.at(last.CreatedAt), last.ID, limit)
}

func scanUser(r row) (account.User, error) {
	var u account.User
	err := r.Scan(&u.ID, &u.Email, &u.EmailVerified, &u.DisplayName, &u.AvatarURL, &u.Plan,
		timeInto(&u.CreatedAt), timeInto(&u.LastLoginAt), timeInto(&u.DisabledAt))
	return u, err
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

func scanString(r row) (string, error) {
	var s string
	err := r.Scan(&s)
	return s, err
}

// SetPasswordHash implements [account.Store].
func (db *DB) SetPasswordHash(ctx context.Context, userID, old, replacement string, now time.Time) error {
	if !isID(userID) {
		return nil
	}
	_, err := db.exec(ctx, "replace password", updatePassword, userID, old, replacement, db.at(now))
	return err
}

// SignedIn implements [account.Store].
func (db *DB) SignedIn(ctx context.Context, userID string, now time.Time) error {
	if !isID(userID) {
		return nil
	}
	_, err := db.exec(ctx, "note sign-in", updateLogin, userID, db.at(now))
	return err
}

// SetPlan implements [account.Store].
func (db *DB) SetPlan(ctx context.Context, userID, plan string) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	n, err := db.exec(ctx, "set plan", updatePlan, userID, plan)
	if err == nil && n == 0 {
		return account.ErrNotFound
	}
	return err
}

// SetDisabled implements [account.Store].
func (db *DB) SetDisabled(ctx context.Context, userID string, at time.Time) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	return db.tx(ctx, "disable account", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, updateDisabled, userID, db.at(at)))
		if err != nil {
			return err
		}
		if n == 0 {
			return account.ErrNotFound
		}
		if at.IsZero() {
			return nil
		}
		_, err = tx.ExecContext(ctx, revokeUser, userID, db.at(at))
		return err
	})
}

// DeleteUser implements [account.Store]. What refers to the account goes with its row; what names it by text goes here.
func (db *DB) DeleteUser(ctx context.Context, userID string) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	return db.tx(ctx, "delete account", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, deleteUser, userID))
		if err != nil {
			return err
		}
		if n == 0 {
			return account.ErrNotFound
		}
		if _, err := tx.ExecContext(ctx, deleteEvents, userID); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, deleteClaims, userID)
		return err
	})
}
