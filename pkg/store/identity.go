package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"time"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/oidc"
)

const (
	identityColumns = `identity_id, user_id, provider, provider_subject, email_at_provider, email_verified_at_provider,
		created_at, last_used_at`
	insertIdentity = `INSERT INTO user_identities (` + identityColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (provider, provider_subject) DO NOTHING`
	upsertIdentity = `INSERT INTO user_identities (` + identityColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (provider, provider_subject) DO UPDATE SET email_at_provider = excluded.email_at_provider,
		email_verified_at_provider = excluded.email_verified_at_provider, last_used_at = excluded.last_used_at
		WHERE user_identities.user_id = excluded.user_id`
	updateIdentity = `UPDATE user_identities SET email_at_provider = $4, email_verified_at_provider = $5, last_used_at = $6
		WHERE user_id = $1 AND provider = $2 AND provider_subject = $3`
	userByIdentity = selectUsers + ` JOIN user_identities i ON i.user_id = users.user_id
		WHERE i.provider = $1 AND i.provider_subject = $2`
	identitiesOfUser = `SELECT ` + identityColumns + ` FROM user_identities WHERE user_id = $1 ORDER BY created_at, identity_id`
	deleteIdentities = `DELETE FROM user_identities WHERE user_id = $1 RETURNING provider`

	codeColumns = `code_hash, purpose, user_id, code_challenge, identity_id, provider, provider_subject, email_at_provider,
		email_verified_at_provider, identity_created_at, identity_last_used_at, expires_at`
	insertExchangeCode = `INSERT INTO auth_exchange_codes (` + codeColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	takeExchangeCode = `DELETE FROM auth_exchange_codes WHERE code_hash = $1 AND expires_at > $2 RETURNING ` + codeColumns
	deleteCodes      = `DELETE FROM auth_exchange_codes WHERE user_id = $1`

	stateColumns = `state_hash, redirect_uri, code_challenge, user_id, nonce, verifier, browser_hash, expires_at`
	insertState  = `INSERT INTO oidc_states (` + stateColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	takeState    = `DELETE FROM oidc_states WHERE state_hash = $1 AND expires_at > $2 RETURNING ` + stateColumns
)

// UserByIdentity implements [account.Store].
func (db *DB) UserByIdentity(ctx context.Context, provider, subject string) (account.User, error) {
	if !isText(provider) || !isText(subject) {
		return account.User{}, account.ErrNotFound
	}
	return find(ctx, db, "find account by identity", account.ErrNotFound, scanUser, userByIdentity, provider, subject)
}

// Identities implements [account.Store].
func (db *DB) Identities(ctx context.Context, userID string) ([]account.Identity, error) {
	if !isID(userID) {
		return nil, nil
	}
	return list(ctx, db, "list identities", scanIdentity, identitiesOfUser, userID)
}

func scanIdentity(r row) (account.Identity, error) {
	var i account.Identity
	err := r.Scan(&i.ID, &i.UserID, &i.Provider, &i.Subject, &i.Email, &i.EmailVerified,
		timeInto(&i.CreatedAt), timeInto(&i.LastUsedAt))
	return i, err
}

// identityRow returns the columns of an identity, in the order of identityColumns.
func (db *DB) identityRow(i account.Identity) []any {
	return []any{
		i.ID, i.UserID, i.Provider, i.Subject, i.Email, i.EmailVerified, db.at(i.CreatedAt), db.at(i.LastUsedAt),
	}
}

// LinkIdentity implements [account.Store].
func (db *DB) LinkIdentity(ctx context.Context, i account.Identity, linked audit.Entry) error {
	if !isID(i.UserID) {
		return account.ErrNotFound
	}
	err := db.tx(ctx, "link identity", func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(ctx, tx, account.ErrIdentityTaken, upsertIdentity, db.identityRow(i)...); err != nil {
			return err
		}
		return db.record(ctx, tx, linked, i.UserID, "", "")
	})
	if isOrphan(err) {
		return account.ErrNotFound
	}
	return err
}

// CreateExchangeCode implements [account.Store].
func (db *DB) CreateExchangeCode(ctx context.Context, c account.ExchangeCode) error {
	if !isID(c.UserID) {
		return account.ErrNotFound
	}
	_, err := db.exec(ctx, "create exchange code", insertExchangeCode, db.exchangeCodeRow(c)...)
	if isOrphan(err) {
		return account.ErrNotFound
	}
	return err
}

// exchangeCodeRow returns the columns of a code, in the order of codeColumns. Its user is also that of its identity.
func (db *DB) exchangeCodeRow(c account.ExchangeCode) []any {
	var i account.Identity
	if c.Identity != nil {
		i = *c.Identity
	}
	return []any{
		c.Hash[:], string(c.Purpose), c.UserID, c.Challenge, orNull(i.ID), i.Provider, i.Subject, i.Email, i.EmailVerified,
		db.at(i.CreatedAt), db.at(i.LastUsedAt), db.at(c.ExpiresAt),
	}
}

// TakeExchangeCode implements [account.Store].
func (db *DB) TakeExchangeCode(ctx context.Context, hash [sha256.Size]byte, now time.Time) (account.ExchangeCode, error) {
	return change(ctx, db, "take exchange code", account.ErrNotFound, scanExchangeCode, takeExchangeCode, hash[:], db.at(now))
}

func scanExchangeCode(r row) (account.ExchangeCode, error) {
	var c account.ExchangeCode
	var i account.Identity
	err := r.Scan(digestInto(&c.Hash), &c.Purpose, &c.UserID, &c.Challenge, textInto(&i.ID), &i.Provider, &i.Subject, &i.Email,
		&i.EmailVerified, timeInto(&i.CreatedAt), timeInto(&i.LastUsedAt), timeInto(&c.ExpiresAt))
	if i.ID != "" {
		i.UserID = c.UserID
		c.Identity = &i
	}
	return c, err
}

// CreateState implements [oidc.Store].
func (db *DB) CreateState(ctx context.Context, s oidc.State) error {
	if s.UserID != "" && !isID(s.UserID) {
		return oidc.ErrNotFound
	}
	_, err := db.exec(ctx, "create sign-in state", insertState, s.Hash[:], s.RedirectURI, s.CodeChallenge, orNull(s.UserID),
		s.Nonce, s.Verifier, s.BrowserHash[:], db.at(s.ExpiresAt))
	if isOrphan(err) {
		return oidc.ErrNotFound
	}
	return err
}

// TakeState implements [oidc.Store].
func (db *DB) TakeState(ctx context.Context, hash [sha256.Size]byte, now time.Time) (oidc.State, error) {
	return change(ctx, db, "take sign-in state", oidc.ErrNotFound, scanState, takeState, hash[:], db.at(now))
}

func scanState(r row) (oidc.State, error) {
	var s oidc.State
	err := r.Scan(digestInto(&s.Hash), &s.RedirectURI, &s.CodeChallenge, textInto(&s.UserID), &s.Nonce, &s.Verifier,
		digestInto(&s.BrowserHash), timeInto(&s.ExpiresAt))
	return s, err
}
