package store

import (
	"context"
	"database/sql"
	"time"
)

// Replication is what a Postgres server offers to a PowerSync Service that follows its log.
type Replication struct {
	WALLevel  string   // "logical" where the log can be followed
	Kept      string   // max_slot_wal_keep_size: how much log is kept for a service that is down; "-1" is without end
	Published bool     // there is the publication
	Tables    []string // of the publication, sorted
	Role      bool     // there is the role of source.sql, and it may replicate
	Slots     []Slot
}

// Slot is a place in the log from which a PowerSync Service reads on.
type Slot struct {
	Name     string
	Active   bool  // a service is connected
	Lost     bool  // the log from there is gone
	Retained int64 // bytes of log that are kept for it
}

// The names that config/powersync/source.sql and the PowerSync Service give.
const (
	publicationName = "powersync"
	replicationRole = "powersync_replication"
	slotNames       = `powersync%`
)

// Clock returns the time by the clock of a Postgres server. SQLite has none of its own: the time is zero.
func (db *DB) Clock(ctx context.Context) (time.Time, error) {
	var now time.Time
	if db.engine != Postgres {
		return now, nil
	}
	err := attempt(ctx, "ask the clock of the store", func(ctx context.Context) error {
		return db.read.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(&now)
	})
	return now.UTC(), err
}

// Replication returns what a PowerSync Service finds. It is for Postgres.
func (db *DB) Replication(ctx context.Context) (Replication, error) {
	const op = "look at replication"
	var r Replication
	err := attempt(ctx, op, func(ctx context.Context) error {
		return db.read.QueryRowContext(ctx, `SELECT current_setting('wal_level'), current_setting('max_slot_wal_keep_size'),
			EXISTS (SELECT FROM pg_publication WHERE pubname = $1),
			EXISTS (SELECT FROM pg_roles WHERE rolname = $2 AND rolreplication AND rolcanlogin)`, publicationName, replicationRole).
			Scan(&r.WALLevel, &r.Kept, &r.Published, &r.Role)
	})
	if err != nil {
		return r, err
	}
	r.Tables, err = list(ctx, db, op, func(r row) (name string, err error) { return name, r.Scan(&name) },
		`SELECT tablename FROM pg_publication_tables WHERE pubname = $1 AND schemaname = current_schema() ORDER BY 1`, publicationName)
	if err != nil {
		return r, err
	}
	r.Slots, err = list(ctx, db, op, scanSlot,
		`SELECT slot_name, active, coalesce(wal_status, ''), pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
		FROM pg_replication_slots WHERE slot_name LIKE $1 AND database = current_database() ORDER BY 1`, slotNames)
	return r, err
}

func scanSlot(r row) (Slot, error) {
	var s Slot
	var status string
	var retained sql.NullInt64 // null for a slot that is lost
	err := r.Scan(&s.Name, &s.Active, &status, &retained)
	s.Lost, s.Retained = status == "lost", retained.Int64
	return s, err
}
