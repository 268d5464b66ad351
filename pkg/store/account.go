package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/revocation"
	"github.com/provisioner/provisioner/pkg/session"
)

const (
	insertUser = `INSERT INTO users (user_id, primary_email, primary_email_verified, display_name, avatar_url, plan,
		created_at, last_login_at, disabled_at) VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9)
		ON CONFLICT (lower(primary_email)) DO NOTHING`

	userColumns = `users.user_id, users.primary_email, users.primary_email_verified, users.display_name,
		coalesce(users.avatar_url, ''), users.plan, users.created_at, users.last_login_at, users.disabled_at`
	selectUsers = `SELECT ` + userColumns + ` FROM users`
	userByID    = selectUsers + ` WHERE user_id = $1`
	userByEmail = selectUsers + ` WHERE lower(primary_email) = $1`
	usersAfter  = selectUsers + ` WHERE (created_at, user_id) > ($1, $2) ORDER BY created_at, user_id LIMIT $3`
	firstUsers  = selectUsers + ` ORDER BY created_at, user_id LIMIT $1`

	updateLogin   = `UPDATE users SET last_login_at = $2 WHERE user_id = $1 AND disabled_at IS NULL`
	updateProfile = `UPDATE users SET display_name = coalesce($2, display_name),
		avatar_url = nullif(coalesce($3, avatar_url, ''), '') WHERE user_id = $1 RETURNING ` + userColumns
	updatePlan     = `UPDATE users SET plan = $2 WHERE user_id = $1`
	updateDisabled = `UPDATE users SET disabled_at = $2 WHERE user_id = $1`
	deleteUser     = `DELETE FROM users WHERE user_id = $1 RETURNING primary_email`
	deleteEvents   = `DELETE FROM events WHERE user_id = $1`
	deleteClaims   = `DELETE FROM idempotency_claims WHERE account = $1`
	deleteMail     = `DELETE FROM mail_outbox WHERE email = $1`

	selectPreferences = `SELECT object FROM user_preferences WHERE user_id = $1`
	upsertPreferences = `INSERT INTO user_preferences (user_id, object) VALUES ($1, $2)
		ON CONFLICT (user_id) DO UPDATE SET object = excluded.object`
)

// CreateUser implements [account.Store].
func (db *DB) CreateUser(ctx context.Context, a account.Addition) error {
	sessionID := ""
	if a.Session != nil {
		sessionID = a.Session.ID
	}
	return db.tx(ctx, "create account", func(ctx context.Context, tx *sql.Tx) error {
		u := a.User
		err := execOne(ctx, tx, account.ErrEmailTaken, insertUser, u.ID, u.Email, u.EmailVerified, u.DisplayName, u.AvatarURL, u.Plan,
			db.at(u.CreatedAt), db.at(u.LastLoginAt), db.at(u.DisabledAt))
		if err != nil {
			return err
		}
		if err := db.addToUser(ctx, tx, a); err != nil {
			return err
		}
		return db.record(ctx, tx, a.Audit, u.ID, sessionID, "")
	})
}

// addToUser keeps what comes with a new account.
func (db *DB) addToUser(ctx context.Context, tx *sql.Tx, a account.Addition) error {
	if a.PasswordHash != "" {
		if err := execIn(ctx, tx, insertPassword, a.User.ID, a.PasswordHash, db.at(a.User.CreatedAt)); err != nil {
			return err
		}
	}
	if a.Identity != nil {
		if err := execOne(ctx, tx, account.ErrIdentityTaken, insertIdentity, db.identityRow(*a.Identity)...); err != nil {
			return err
		}
	}
	if a.Session != nil {
		if err := execIn(ctx, tx, insertSession, db.sessionRow(*a.Session)...); err != nil {
			return err
		}
	}
	if a.Code != nil {
		if err := execIn(ctx, tx, insertExchangeCode, db.exchangeCodeRow(*a.Code)...); err != nil {
			return err
		}
	}
	if a.Mail != nil {
		return execIn(ctx, tx, insertMail, db.mailRow(*a.Mail)...)
	}
	return nil
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
	err := r.Scan(userInto(&u)...)
	return u, err
}

// userInto returns where userColumns are scanned.
func userInto(u *account.User) []any {
	return []any{
		&u.ID, &u.Email, &u.EmailVerified, &u.DisplayName, &u.AvatarURL, &u.Plan,
		timeInto(&u.CreatedAt), timeInto(&u.LastLoginAt), timeInto(&u.DisabledAt),
	}
}

func scanString(r row) (string, error) {
	var s string
	err := r.Scan(&s)
	return s, err
}

// SignIn implements [account.Store].
func (db *DB) SignIn(ctx context.Context, s session.Session, by account.Proof, signedIn audit.Entry) error {
	if !isID(s.UserID) {
		return account.ErrNotFound
	}
	return db.tx(ctx, "sign in", func(ctx context.Context, tx *sql.Tx) error {
		err := execOne(ctx, tx, account.ErrNotFound, updateLogin, s.UserID, db.at(s.CreatedAt))
		if err != nil {
			return err
		}
		if err := db.holdPassword(ctx, tx, s.UserID, by.PasswordHash); err != nil {
			return err
		}
		if i := by.Identity; i != nil {
			err := execOne(ctx, tx, account.ErrNotFound, updateIdentity, s.UserID, i.Provider, i.Subject, i.Email, i.EmailVerified,
				db.at(s.CreatedAt))
			if err != nil {
				return err
			}
		}
		if err := execIn(ctx, tx, insertSession, db.sessionRow(s)...); err != nil {
			return err
		}
		return db.record(ctx, tx, signedIn, s.UserID, s.ID, "")
	})
}

// UpdateProfile implements [account.Store].
func (db *DB) UpdateProfile(ctx context.Context, userID string, c account.ProfileChange) (account.User, error) {
	if !isID(userID) {
		return account.User{}, account.ErrNotFound
	}
	return change(ctx, db, "update profile", account.ErrNotFound, scanUser, updateProfile, userID, c.DisplayName, c.AvatarURL)
}

// Preferences implements [account.Store].
func (db *DB) Preferences(ctx context.Context, userID string) ([]byte, error) {
	if !isID(userID) {
		return nil, nil
	}
	object, err := find(ctx, db, "find preferences", account.ErrNotFound, scanBytes, selectPreferences, userID)
	if errors.Is(err, account.ErrNotFound) {
		return nil, nil
	}
	return object, err
}

func scanBytes(r row) ([]byte, error) {
	var b []byte
	err := r.Scan(&b)
	return b, err
}

// SetPreferences implements [account.Store].
func (db *DB) SetPreferences(ctx context.Context, userID string, object []byte) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	_, err := db.exec(ctx, "set preferences", upsertPreferences, userID, object)
	if isOrphan(err) {
		return account.ErrNotFound
	}
	return err
}

// SetPlan implements [account.Store].
func (db *DB) SetPlan(ctx context.Context, userID, plan string, set audit.Entry) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	err := db.tx(ctx, "set plan", func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(ctx, tx, account.ErrNotFound, updatePlan, userID, plan); err != nil {
			return err
		}
		return db.record(ctx, tx, set, userID, "", "")
	})
	return db.tell(ctx, err, revocation.Notice{Kind: revocation.User, ID: userID})
}

// SetDisabled implements [account.Store].
func (db *DB) SetDisabled(ctx context.Context, userID string, at time.Time, set audit.Entry) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	err := db.tx(ctx, "disable account", func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(ctx, tx, account.ErrNotFound, updateDisabled, userID, db.at(at)); err != nil {
			return err
		}
		if !at.IsZero() {
			if err := execIn(ctx, tx, revokeUser, userID, db.at(at)); err != nil {
				return err
			}
		}
		return db.record(ctx, tx, set, userID, "", "")
	})
	err = db.tell(ctx, err, revocation.Notice{Kind: revocation.User, ID: userID})
	return db.tellChanged(ctx, err, userID)
}

// DeleteUser implements [account.Store]. What refers to the account goes with its row; what names it by text goes here.
func (db *DB) DeleteUser(ctx context.Context, userID string, deleted audit.Entry) error {
	if !isID(userID) {
		return account.ErrNotFound
	}
	err := db.tx(ctx, "delete account", func(ctx context.Context, tx *sql.Tx) error {
		email, err := scanString(tx.QueryRowContext(ctx, deleteUser, userID))
		if errors.Is(err, sql.ErrNoRows) {
			return account.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := db.record(ctx, tx, deleted, userID, "", ""); err != nil {
			return err
		}
		if err := execIn(ctx, tx, deleteMail, email); err != nil {
			return err
		}
		for _, statement := range []string{deleteEvents, deleteClaims, forgetNetworks} {
			if err := execIn(ctx, tx, statement, userID); err != nil {
				return err
			}
		}
		return nil
	})
	err = db.tell(ctx, err, revocation.Notice{Kind: revocation.User, ID: userID})
	return db.tellChanged(ctx, err, userID)
}
