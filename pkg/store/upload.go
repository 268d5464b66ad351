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
	uploadTimeout = 30 * time.Second // of one part of an upload: all of it takes as long as it gets on
	uploadChunk   = 1000             // rows of one statement
	fewRows       = 8                // of so many no statement takes long: its patience would cost a round trip
)

const (
	selectAnswer = `SELECT answer FROM sync_uploads WHERE session_id = $1 AND digest = $2`
	insertAnswer = `INSERT INTO sync_uploads (session_id, digest, answer, answered_at) VALUES ($1, $2, $3, $4)`
)

// errOvertaken means that rows were not written, because another user has made them since they were looked for.
var errOvertaken = errors.New("another user made a row meanwhile")

// Upload implements [library.Store]. Its first statement is that which makes the user's uploads wait for each other.
func (db *DB) Upload(
	ctx context.Context, in library.Intake, decide func([]library.State) (library.Decision, error),
) ([]byte, error) {
	if !isID(in.UserID) || !isID(in.SessionID) {
		return nil, library.ErrNoUser
	}
	var answer []byte
	var changes bool
	err := db.txByParts(ctx, uploadTimeout, "take in an upload", func(ctx context.Context, tx *sql.Tx, next func()) (err error) {
		u := &upload{db: db, tx: tx, in: in, next: next, found: make(map[library.Ref]foundRow)}
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
	next    func() // begins the time of the next part
	found   map[library.Ref]foundRow
	changes bool
}

// foundRow is what there is under an ID.
type foundRow struct {
	id    string
	state library.State
	told  bool  // an operation tells devices of the row: the next one makes that void
	size  int64 // of the row's texts, in bytes
}

func (u *upload) take(ctx context.Context, decide func([]library.State) (library.Decision, error)) ([]byte, error) {
	if len(u.in.Refs) > fewRows && u.db.patience != "" {
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
	states, err := u.look(ctx)
	if err != nil {
		return nil, err
	}
	d, err := decide(states)
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

// named is one of the upload's refs, with its index among them.
type named struct {
	library.Ref
	index int
}

// ofTable is what concerns one table, in the order of IDs.
type ofTable struct {
	table *library.Table
	refs  []named
}

// byTable returns the refs of each table, the tables in their order too: transactions that all write rows in that order wait for each
// other, but never in a circle.
func byTable(refs []library.Ref) []ofTable {
	sorted := make([]named, len(refs))
	for i, ref := range refs {
		sorted[i] = named{ref, i}
	}
	slices.SortFunc(sorted, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.Table.Name, b.Table.Name), cmp.Compare(a.ID, b.ID))
	})
	var groups []ofTable
	for len(sorted) > 0 {
		table := sorted[0].Table
		end := slices.IndexFunc(sorted, func(one named) bool { return one.Table != table })
		if end < 0 {
			end = len(sorted)
		}
		groups = append(groups, ofTable{table, sorted[:end]})
		sorted = sorted[end:]
	}
	return groups
}

// look returns the states of the rows, in the order of the upload's refs.
func (u *upload) look(ctx context.Context) ([]library.State, error) {
	states := make([]library.State, len(u.in.Refs))
	for _, group := range byTable(u.in.Refs) {
		for part := range slices.Chunk(group.refs, uploadChunk) {
			u.next()
			if err := u.lookAt(ctx, group.table, part); err != nil {
				return nil, err
			}
		}
	}
	for i, ref := range u.in.Refs {
		states[i] = u.found[ref].state
	}
	return states, nil
}

func (u *upload) lookAt(ctx context.Context, t *library.Table, refs []named) error {
	ids := u.db.ids(column(refs, func(r named) string { return r.ID }))
	rows, err := queryAll(ctx, u.tx, func(r row) (f foundRow, err error) {
		err = r.Scan(&f.id, &f.state, &f.told, &f.size)
		return f, err
	}, u.db.tables[t].look, append(slices.Clip(u.db.plannedAnew), u.in.UserID, t.Name, ids)...)
	for _, f := range rows {
		u.found[library.Ref{Table: t, ID: f.id}] = f
	}
	return err
}

// part returns how many of the first refs are to be in memory at once.
func (u *upload) part(refs []named) int {
	refs = refs[:min(len(refs), uploadChunk)]
	return fitting(column(refs, func(r named) int64 { return u.found[r.Ref].size }))
}

// keep writes what was decided, a part at a time.
func (u *upload) keep(ctx context.Context, d library.Decision) error {
	if d.Change != nil {
		for _, group := range byTable(u.in.Refs) {
			for refs := group.refs; len(refs) > 0; {
				n := u.part(refs)
				u.next()
				if err := u.change(ctx, group.table, refs[:n], d); err != nil {
					return err
				}
				refs = refs[n:]
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

// change makes the changes of some rows of a table.
func (u *upload) change(ctx context.Context, t *library.Table, refs []named, d library.Decision) error {
	rows, err := u.read(ctx, t, refs)
	if err != nil {
		return err
	}
	var changes []library.Change
	for _, r := range refs {
		if c, changed := d.Change(r.index, library.Found{State: u.found[r.Ref].state, Row: rows[r.ID]}); changed {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	u.changes = true
	return u.write(ctx, t, changes)
}

// read returns those of the rows that are the user's, by their IDs. It returns errOvertaken if one is no longer there.
func (u *upload) read(ctx context.Context, t *library.Table, refs []named) (map[string]library.Row, error) {
	var ids []string
	for _, r := range refs {
		if u.found[r.Ref].state == library.Owned {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // a map without rows
	}
	kept, err := queryAll(ctx, u.tx, scanKept(t), u.db.tables[t].find,
		append(slices.Clip(u.db.plannedAnew), u.in.UserID, u.db.ids(ids))...)
	if err == nil && len(kept) < len(ids) {
		err = errOvertaken // somebody deleted it by hand
	}
	rows := make(map[string]library.Row, len(kept))
	for _, k := range kept {
		rows[k.ID] = k.Row
	}
	return rows, err
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
		if u.found[c.Ref].state == library.Owned { // and not made by the same upload, so that no device knows it
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
		if f := u.found[r.Ref]; f.state == library.Owned && f.told {
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
