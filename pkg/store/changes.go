package store

import "context"

// OnChange implements [syncstream.Changes].
func (db *DB) OnChange(f func(userID string)) { db.onChange.add(f) }

// tellChanged tells that a user's devices are to hear of a change that ended with err, if it was made, or may have been because
// nobody heard what came of its commit: this process before it returns, others soon. It returns err.
func (db *DB) tellChanged(ctx context.Context, err error, userID string) error {
	if err != nil && !isUnknown(err) {
		return err
	}
	db.onChange.tell(userID)
	if db.changes != nil {
		db.changes.add(ctx, userID)
	}
	return err
}
