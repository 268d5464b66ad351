package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	uploadTimeout = 30 * time.Second // of an upload, which may be of 64 MiB
	uploadChunk   = 1000             // rows of one statement
)

const (
	selectAnswer = `SELECT answer FROM sync_uploads WHERE session_id = $1 AND digest = $2`
	insertAnswer = `INSERT INTO sync_uploads (session_id, digest, answer, answered_at) VALUES ($1, $2, $3, $4)`
)

// errOvertaken means that rows were not written, because another user has made them since they were looked for.
var errOvertaken = errors.New("another user made a row meanwhile")

// Upload implements [library.Store]. Its first statement is that which makes the user's uploads wait for each other.
func (db *DB) Upload(
	ctx context.Context, in library.Intake, decide func([]library.Found) (library.Decision, error),
) ([]byte, error) {
	if !isID(in.UserID) || !isID(in.SessionID) {
		return nil, library.ErrNoUser
	}
	var answer []byte
	var changes bool
	err := db.txWithin(ctx, uploadTimeout, "take in an upload", func(ctx context.Context, tx *sql.Tx) (err error) {
		u := &upload{db: db, tx: tx, in: in, owned: make(map[library.Ref]bool)}
		answer, err = u.take(ctx, decide)
		changes = u.changes
		if isOrphan(err) { // the session ended with its account
			err = library.ErrNoUser
		}
		return err
	})
	if changes {
		err = db.tellChanged(ctx, err, in.UserID)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// upload is one upload in its transaction.
type upload struct {
	db      *DB
	tx      *sql.Tx
	in      library.Intake
	owned   map[library.Ref]bool // rows that are there; true for those whose last operation the next makes void
	changes bool
}

func (u *upload) take(ctx context.Context, decide func([]library.Found) (library.Decision, error)) ([]byte, error) {
	if len(u.in.Refs) > uploadChunk && u.db.patience != "" {
		if err := execIn(ctx, u.tx, u.db.patience); err != nil {
			return nil, err
		}
	}
	if _, err := u.db.holdHead(ctx, u.tx, u.in.UserID); err != nil {
		return nil, err
	}
	answer, err := u.answered(ctx)
	if !errors.Is(err, sql.ErrNoRows) {
		return answer, err
	}
	found, err := u.find(ctx)
	if err != nil {
		return nil, err
	}
	d, err := decide(found)
	if err != nil {
		return nil, err
	}
	return d.Answer, u.keep(ctx, d)
}

// answered returns the answer that the ledger has, or sql.ErrNoRows.
func (u *upload) answered(ctx context.Context) ([]byte, error) {
	if !u.inLedger() {
		return nil, sql.ErrNoRows
	}
	return scanBytes(u.tx.QueryRowContext(ctx, selectAnswer, u.in.SessionID, u.in.Digest[:]))
}

func (u *upload) inLedger() bool { return u.in.Digest != [sha256.Size]byte{} }

// ofTable is what concerns one table, in the order of IDs.
type ofTable[T any] struct {
	table *library.Table
	all   []T
}

// byTable returns what concerns each table, the tables in their order too: transactions that all write rows in that order wait for each
// other, but never in a circle.
func byTable[T any](all []T, ref func(T) library.Ref) []ofTable[T] {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b T) int {
		return cmp.Or(cmp.Compare(ref(a).Table.Name, ref(b).Table.Name), cmp.Compare(ref(a).ID, ref(b).ID))
	})
	var groups []ofTable[T]
	for len(sorted) > 0 {
		table := ref(sorted[0]).Table
		end := slices.IndexFunc(sorted, func(one T) bool { return ref(one).Table != table })
		if end < 0 {
			end = len(sorted)
		}
		groups = append(groups, ofTable[T]{table, sorted[:end]})
		sorted = sorted[end:]
	}
	return groups
}

// find returns what there is of the rows, in the order of the upload's refs.
func (u *upload) find(ctx context.Context) ([]library.Found, error) {
	found, at := make([]library.Found, len(u.in.Refs)), make(map[library.Ref]int, len(u.in.Refs))
	for i, ref := range u.in.Refs {
		at[ref] = i
	}
	for _, refs := range byTable(u.in.Refs, func(r library.Ref) library.Ref { return r }) {
		for chunk := range slices.Chunk(refs.all, uploadChunk) {
			rows, err := u.findIn(ctx, refs.table, chunk)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				ref := library.Ref{Table: refs.table, ID: r.id}
				found[at[ref]] = r.Found
				if r.State == library.Owned {
					u.owned[ref] = r.told
				}
			}
		}
	}
	return found, nil
}

// foundRow is what there is under an ID.
type foundRow struct {
	library.Found
	id   string
	told bool // an operation tells devices of the row
}

func (u *upload) findIn(ctx context.Context, t *library.Table, refs []library.Ref) ([]foundRow, error) {
	ids := u.db.ids(column(refs, func(r library.Ref) string { return r.ID }))
	return queryAll(ctx, u.tx, func(r row) (foundRow, error) {
		f, columns := foundRow{}, make(library.Row, len(t.Columns))
		err := r.Scan(rowInto(columns, &f.id, &f.State, &f.told)...)
		if f.State == library.Owned {
			f.Row = columns
		}
		return f, err
	}, u.db.tables[t].find, append(slices.Clip(u.db.plannedAnew), u.in.UserID, t.Name, ids)...)
}

// keep writes what was decided.
func (u *upload) keep(ctx context.Context, d library.Decision) error {
	u.changes = len(d.Changes) > 0
	for _, changes := range byTable(d.Changes, func(c library.Change) library.Ref { return c.Ref }) {
		for chunk := range slices.Chunk(changes.all, uploadChunk) {
			if err := u.write(ctx, changes.table, chunk); err != nil {
				return err
			}
		}
	}
	if d.DeadLetter != nil {
		if err := u.db.keepLetter(ctx, u.tx, *d.DeadLetter); err != nil {
			return err
		}
	}
	if !u.inLedger() {
		return nil
	}
	return execIn(ctx, u.tx, insertAnswer, u.in.SessionID, u.in.Digest[:], d.Answer, u.db.at(u.in.At))
}

// write makes changes of one table.
func (u *upload) write(ctx context.Context, t *library.Table, changes []library.Change) error {
	var puts, deleted, removals []library.Change
	for _, c := range changes {
		if c.Row != nil {
			puts = append(puts, c)
			continue
		}
		deleted = append(deleted, c)
		if _, there := u.owned[c.Ref]; there { // and not made by the same upload, so that no device knows it
			removals = append(removals, c)
		}
	}
	if len(puts) > 0 {
		if err := u.put(ctx, t, puts); err != nil {
			return err
		}
	}
	if len(removals) > 0 {
		if err := u.remove(ctx, t, removals); err != nil {
			return err
		}
	}
	if len(deleted) == 0 {
		return nil
	}
	return execIn(ctx, u.tx, u.db.tables[t].bury, u.in.UserID, t.Name, u.db.ids(idsOf(deleted)), u.db.at(u.in.At))
}

func idsOf(changes []library.Change) []string {
	return column(changes, func(c library.Change) string { return c.ID })
}

func (u *upload) put(ctx context.Context, t *library.Table, rows []library.Change) error {
	first, err := u.append(ctx, t, rows, func(c library.Change) syncstream.Op {
		return syncstream.NewPut(t.Name, c.ID, t.Encode(c.ID, u.in.UserID, c.Row))
	})
	if err != nil {
		return err
	}
	written, err := u.db.putRows(ctx, u.tx, rowSet{u.db.tables[t].put, u.in.UserID, first, rows})
	return all(written, rows, err)
}

func (u *upload) remove(ctx context.Context, t *library.Table, rows []library.Change) error {
	_, err := u.append(ctx, t, rows, func(c library.Change) syncstream.Op { return syncstream.NewRemove(t.Name, c.ID) })
	if err != nil {
		return err
	}
	removed, err := changed(u.tx.ExecContext(ctx, u.db.tables[t].remove,
		append(slices.Clip(u.db.plannedAnew), u.in.UserID, u.db.ids(idsOf(rows)))...))
	return all(removed, rows, err)
}

// append writes an operation for each row.
func (u *upload) append(
	ctx context.Context, t *library.Table, rows []library.Change, op func(library.Change) syncstream.Op,
) (first int64, err error) {
	var void int64
	for _, r := range rows {
		if u.owned[r.Ref] {
			void++
		}
	}
	return u.db.appendOps(ctx, u.tx, u.in.UserID, t, column(rows, op), void)
}

// all returns errOvertaken unless as many rows were changed as were meant.
func all(n int64, rows []library.Change, err error) error {
	if err == nil && n < int64(len(rows)) {
		return errOvertaken
	}
	return err
}
