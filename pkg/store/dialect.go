package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// dialect is in what the engines differ. All other SQL is the same text on both, with $1 for the first argument.
type dialect struct {
	engine Engine

	at         func(time.Time) any // a time as an argument; the zero time is NULL
	lockRow    string              // ends a SELECT: holds the row to the end of the transaction
	skipLocked string              // ends a SELECT: holds the rows that nobody else holds
	asKey      string              // ends a text: makes it the key of a row
	purge      string              // deletes what has expired; see purgeByKey
	lockKeys   string              // a statement: nobody else changes signing keys to the end of the transaction; "" for none needed

	patience       string                      // a statement: the next ones of the transaction may take as long as an upload; "" for none needed
	tables         map[*library.Table]tableSQL // of every synced table
	ids            func(ids []string) any      // ids as one argument
	numberedIDs    string                      // the rows r (id, n) of $2, which ids made; n counts from 0
	plannedAnew    []any                       // goes before the arguments of a statement whose plan may not be an old one
	insertNonces   func(ctx context.Context, tx *sql.Tx, admissions []replay.Admission) (fresh []bool, err error)
	insertEvents   func(ctx context.Context, tx *sql.Tx, events []*event.Event) error
	insertRefusals func(ctx context.Context, tx *sql.Tx, refusals []refusal) error
	updateUses     func(ctx context.Context, tx *sql.Tx, ids []string, at []time.Time) error
	insertOps      func(ctx context.Context, tx *sql.Tx, b batch) (head int64, err error) // see appendOps
	putRows        func(ctx context.Context, tx *sql.Tx, s rowSet) (written int64, err error)
	readOps        func(ctx context.Context, pool *sql.DB, p syncstream.Page) ([]syncstream.Op, error)
	// holdUsers tells which of the accounts are there; to the end of the transaction none of those is erased.
	holdUsers func(ctx context.Context, tx *sql.Tx, ids []string) (there map[string]bool, err error)

	revocations, changes *notifier // bring word to other processes; nil where they see for themselves
	sender               string    // of changes: not to be heard again; random
	// listen delivers notices of other processes until it no longer can. It calls established once none is missed from then on.
	listen func(ctx context.Context, established func()) error

	goose        goose.Dialect
	hasVersions  string // asks whether the table of versions exists
	openMigrator func(ctx context.Context) (*migrator, error)
}
