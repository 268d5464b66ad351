package powersync

import "database/sql/driver"

// WithDriver has a DB open its connections through what wrap returns.
func WithDriver(wrap func(driver.Connector) driver.Connector) Option {
	return func(db *DB) { db.wrap = wrap }
}

// Subscribers is how many there are to a DB's changes.
func Subscribers(db *DB) int {
	db.watch.mu.Lock()
	defer db.watch.mu.Unlock()
	return len(db.watch.subscribers)
}
