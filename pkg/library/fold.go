package library

import (
	"slices"
	"time"
)

// outcome is what a transaction makes of the rows that it found.
type outcome struct {
	changes  []Change
	applied  int // operations
	rejected rejections
}

// fold applies the mutations in their order to what was found of the transaction's rows. A foreign row rejects all of it.
func (t *transaction) fold(found []Found, at time.Time) outcome {
	var out outcome
	now := slices.Clone(found)
	for _, m := range t.mutations {
		ref := t.refs[m.ref]
		if found[m.ref].State == Foreign {
			out.rejected = out.rejected.with(m.opID, ref.ID, foreignRow)
			continue
		}
		var applied bool
		if now[m.ref], applied = m.apply(now[m.ref], ref.Table, at); applied {
			out.applied++
		}
	}
	if len(out.rejected) > 0 {
		return outcome{rejected: out.rejected}
	}
	for i, ref := range t.refs {
		if changes(found[i], now[i]) {
			out.changes = append(out.changes, Change{ref, ref.Table.stamp(now[i].Row, at)})
		}
	}
	return out
}

// apply returns what a mutation leaves of a row, and false where it does nothing: to a deleted row no mutation does anything, and to
// one that is not there only a PUT.
func (m mutation) apply(f Found, table *Table, at time.Time) (Found, bool) {
	switch {
	case f.State == Owned && m.op == remove:
		return Found{State: Deleted}, true
	case f.State == Owned:
		return Found{Owned, m.set(slices.Clone(f.Row))}, true
	case f.State == Missing && m.op == put:
		return Found{Owned, m.set(table.blank(at))}, true
	}
	return f, false
}

// set puts the given columns into a row.
func (m mutation) set(r Row) Row {
	for _, g := range m.given {
		r[g.column] = g.value
	}
	return r
}

// blank returns a new row that is given nothing.
func (t *Table) blank(at time.Time) Row {
	r := make(Row, len(t.Columns))
	for i, c := range t.Columns {
		r[i] = c.Default
		if c.Set != ByDevice {
			r[i] = formatTime(at)
		}
	}
	return r
}

// stamp sets the columns that tell of a change; a nil row stays nil.
func (t *Table) stamp(r Row, at time.Time) Row {
	for i, c := range t.Columns {
		if r != nil && c.Set == ByServer {
			r[i] = formatTime(at)
		}
	}
	return r
}

// changes reports whether there is something to write. What only the server sets is the same in both.
func changes(found, now Found) bool {
	return found.State != now.State || !slices.Equal(found.Row, now.Row)
}
