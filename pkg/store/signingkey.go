package store

import (
	"context"
	"database/sql"
	"maps"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/token"
)

const (
	selectSigningKeys = `SELECT key_id, key_use, sealed, published_at, signs_from FROM signing_keys
		WHERE key_use = $1 ORDER BY signs_from, key_id`
	insertSigningKey = `INSERT INTO signing_keys (key_id, key_use, sealed, published_at, signs_from)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key_use, key_id) DO NOTHING`
	deleteSigningKey = `DELETE FROM signing_keys WHERE key_use = $1 AND key_id = $2`
)

// SigningKeys implements [token.Store].
func (db *DB) SigningKeys(ctx context.Context, use token.Use) ([]token.StoredKey, error) {
	return list(ctx, db, "list signing keys", scanSigningKey, selectSigningKeys, string(use))
}

func scanSigningKey(r row) (token.StoredKey, error) {
	var k token.StoredKey
	err := r.Scan(&k.ID, &k.Use, &k.Sealed, timeInto(&k.PublishedAt), timeInto(&k.SignsFrom))
	return k, err
}

// AddSigningKey implements [token.Store].
func (db *DB) AddSigningKey(ctx context.Context, k token.StoredKey, seen []string, added audit.Entry) error {
	return db.tx(ctx, "add signing key", func(ctx context.Context, tx *sql.Tx) error {
		if db.lockKeys != "" {
			if err := execIn(ctx, tx, db.lockKeys); err != nil {
				return err
			}
		}
		rows, err := tx.QueryContext(ctx, selectSigningKeys, string(k.Use))
		if err != nil {
			return err
		}
		present, err := scanAll(rows, scanSigningKey)
		if err != nil {
			return err
		}
		if !sameIDs(present, seen) {
			return token.ErrKeyExists
		}
		err = execOne(ctx, tx, token.ErrKeyExists, insertSigningKey, k.ID, string(k.Use), k.Sealed, db.at(k.PublishedAt), db.at(k.SignsFrom))
		if err != nil {
			return err
		}
		return db.record(ctx, tx, added, "", "", k.ID)
	})
}

// sameIDs reports whether ids names all of keys and nothing else.
func sameIDs(keys []token.StoredKey, ids []string) bool {
	named, present := make(map[string]bool), make(map[string]bool)
	for _, id := range ids {
		named[id] = true
	}
	for _, k := range keys {
		present[k.ID] = true
	}
	return maps.Equal(named, present)
}

// RemoveSigningKey implements [token.Store].
func (db *DB) RemoveSigningKey(ctx context.Context, use token.Use, id string, removed audit.Entry) error {
	if !isText(id) {
		return nil
	}
	return db.tx(ctx, "remove signing key", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, deleteSigningKey, string(use), id))
		if err != nil || n == 0 {
			return err
		}
		return db.record(ctx, tx, removed, "", "", id)
	})
}
