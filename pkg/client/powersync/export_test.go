package powersync

import "database/sql/driver"

// WithDriver has a DB open its connections through what wrap returns.
func WithDriver(wrap func(driver.Connector) driver.Connector) Option {
	return func(db *DB) { db.wrap = wrap }
}
