package store

import (
	"context"
	"time"
)

const (
	pollInterval = 150 * time.Millisecond
	pollTimeout  = time.Second
)

const selectVersion = `PRAGMA data_version`

// dataVersion changes when another connection has written to the file. Numbers of different connections say nothing.
type dataVersion struct {
	conn   any
	number int64
}

// pollVersion is the way of SQLite: it looks from time to time whether another process wrote, whatever that was. All that this
// process writes goes through the one connection that it asks.
func (db *DB) pollVersion(ctx context.Context, established func()) error {
	seen, err := db.dataVersion(ctx)
	if err != nil {
		return err
	}
	established()

	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := db.dataVersion(ctx)
		if err != nil {
			return err
		}
		if now != seen {
			db.deliverAll()
		}
		seen = now
	}
}

func (db *DB) dataVersion(ctx context.Context) (v dataVersion, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return v, err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	if err := conn.Raw(func(driverConn any) error { v.conn = driverConn; return nil }); err != nil {
		return v, err
	}
	err = conn.QueryRowContext(ctx, selectVersion).Scan(&v.number)
	return v, err
}
