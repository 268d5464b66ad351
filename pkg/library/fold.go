package library

import (
	"slices"
	"time"
)

// outcome is what a transaction comes to.
type outcome struct {
	applied  int // operations
	rejected rejections
}

// judge counts the mutations that do something to rows in these states. A foreign row rejects all of the transaction.
func (t *transaction) judge(states []State) outcome {
	var out outcome
	now := slices.Clone(states)
	for _, m := range t.mutations {
		if now[m.ref] == Foreign {
			out.rejected = out.rejected.with(m.opID, t.refs[m.ref].ID, foreignRow)
			continue
		}
		var applied bool
		if now[m.ref], applied = m.leaves(now[m.ref]); applied {
			out.applied++
		}
	}
	return out
}

// byRef returns the indexes of the mutations of each row, in their order.
func (t *transaction) byRef() [][]int {
	counts := make([]int, len(t.refs))
	for _, m := range t.mutations {
		counts[m.ref]++
	}
	all, out := make([]int, len(t.mutations)), make([][]int, len(t.refs))
	for i, n := range counts {
		out[i], all = all[:0:n], all[n:]
	}
	for i, m := range t.mutations {
		out[m.ref] = append(out[m.ref], i)
	}
	return out
}

// changes returns the function that applies the mutations of one row, in their order, to what was found of it.
func (t *transaction) changes(at time.Time) func(ref int, found Found) (Change, bool) {
	mutations := t.byRef()
	return func(ref int, found Found) (Change, bool) {
		name := t.refs[ref]
		now := Found{found.State, slices.Clone(found.Row)}
		for _, i := range mutations[ref] {
			now = t.mutations[i].apply(now, name.Table, at)
		}
		changed := differs(found, now)
		return Change{name, name.Table.stamp(now.Row, at)}, changed
	}
}

// leaves returns the state in which a mutation leaves a row, and false where it does nothing: to a deleted row no mutation does
// anything, and to one that is not there only a PUT.
func (m mutation) leaves(s State) (State, bool) {
	switch {
	case s == Owned && m.op == remove:
		return Deleted, true
	case s == Owned, s == Missing && m.op == put:
		return Owned, true
	}
	return s, false
}

// apply returns what a mutation leaves of a row, which it may write to.
func (m mutation) apply(f Found, table *Table, at time.Time) Found {
	state, applied := m.leaves(f.State)
	switch {
	case !applied:
		return f
	case state != Owned:
		return Found{State: state}
	case f.State == Missing:
		f.Row = table.blank(at)
	}
	return Found{state, m.set(f.Row)}
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

// differs reports whether there is something to write. What only the server sets is the same in both as yet.
func differs(found, now Found) bool {
	return found.State != now.State || !slices.Equal(found.Row, now.Row)
}
