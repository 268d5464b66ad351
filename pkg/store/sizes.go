package store

import (
	"context"
	"fmt"
)

// counted are the tables that grow with what clients do.
var counted = []string{
	"nonces", "events", "event_digests", "idempotency_claims", "api_key_issues", "auth_sessions", "auth_exchange_codes", "oidc_states",
	"email_action_tokens", "mail_outbox", "audit_log", "sync_uploads", "sync_clients", "sync_dead_letters",
}

// maxCounted bounds what counting in SQLite reads.
const maxCounted = 100_000

// Sizes returns about how many rows the tables have that grow with what clients do: by Postgres's own estimate, which it makes as it
// vacuums; in SQLite up to 100,000.
func (db *DB) Sizes(ctx context.Context) (map[string]int64, error) {
	const op = "count rows"
	rows := make(map[string]int64, len(counted))
	if db.engine == Postgres {
		type estimate struct {
			table string
			rows  int64
		}
		estimates, err := list(ctx, db, op, func(r row) (e estimate, err error) { return e, r.Scan(&e.table, &e.rows) },
			`SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class
			WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1)`, counted)
		for _, e := range estimates {
			rows[e.table] = e.rows
		}
		return rows, err
	}
	for _, table := range counted {
		query := fmt.Sprintf(`SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d)`, table, maxCounted)
		n, err := find(ctx, db, op, nil, func(r row) (n int64, err error) { return n, r.Scan(&n) }, query)
		if err != nil {
			return nil, err
		}
		rows[table] = n
	}
	return rows, nil
}
