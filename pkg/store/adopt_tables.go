package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// adopter changes the tables of a schema into ours, in one transaction.
type adopter struct {
	tx           *sql.Tx
	schema       string
	plan         string
	ours, theirs catalog
	shared       []string // tables that both have
	done         Adoption
}

func (a *adopter) adopt(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		a.look, a.lock, a.refuse, a.free, a.move, a.loosen, a.shape, a.tidy, a.index, a.constrain, a.tell,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// look reads what is there, ours first: the schema of the transaction is then theirs.
func (a *adopter) look(ctx context.Context) (err error) {
	if a.ours, err = readCatalog(ctx, a.tx, adoptionSchema); err != nil {
		return err
	}
	if a.theirs, err = readCatalog(ctx, a.tx, a.schema); err != nil {
		return err
	}
	for _, t := range papyrusTables {
		if a.theirs.has(t.name) && a.ours.has(t.name) {
			a.shared = append(a.shared, t.name)
		}
	}
	return nil
}

// lock keeps everybody else away from the tables.
func (a *adopter) lock(ctx context.Context) error {
	return execIn(ctx, a.tx, `LOCK TABLE `+strings.Join(a.shared, ", ")+` IN ACCESS EXCLUSIVE MODE`)
}

func (a *adopter) refuse(ctx context.Context) error {
	found, err := a.obstacles(ctx)
	if err == nil && len(found) > 0 {
		return &AdoptError{found}
	}
	return err
}

// run executes a statement and tells of it.
func (a *adopter) run(ctx context.Context, format string, args ...any) error {
	statement := fmt.Sprintf(format, args...)
	a.done.Statements = append(a.done.Statements, statement)
	if err := execIn(ctx, a.tx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// free takes the names of ours from indexes of theirs that are others.
func (a *adopter) free(ctx context.Context) error {
	for _, i := range a.theirs.indexes {
		key := slices.ContainsFunc(a.ours.constraints, func(k pgConstraint) bool { return k.name == i.name })
		index := slices.ContainsFunc(a.ours.indexes, func(j pgIndex) bool { return j.name == i.name && !i.same(j) })
		if !key && !index {
			continue
		}
		if err := a.run(ctx, `ALTER INDEX %s RENAME TO %s`, quote(i.name), quote(i.name+"_papyrus")); err != nil {
			return err
		}
	}
	return nil
}

// move brings over the tables of ours that they do not have. The foreign keys of ours come last, when all tables are in one place.
func (a *adopter) move(ctx context.Context) error {
	for _, k := range a.ours.constraints {
		if k.kind != "f" {
			continue
		}
		drop := `ALTER TABLE ` + adoptionSchema + `.` + quote(k.table) + ` DROP CONSTRAINT ` + quote(k.name)
		if err := execIn(ctx, a.tx, drop); err != nil {
			return err
		}
	}
	for _, name := range replacedTables {
		if a.theirs.has(name) {
			if err := a.run(ctx, `DROP TABLE %s`, quote(name)); err != nil {
				return err
			}
		}
	}
	owner, err := a.owner(ctx)
	if err != nil {
		return err
	}
	for _, name := range a.ours.tables() {
		if slices.Contains(a.shared, name) {
			continue
		}
		if err := a.run(ctx, `ALTER TABLE %s.%s SET SCHEMA %s`, adoptionSchema, quote(name), quote(a.schema)); err != nil {
			return err
		}
		if owner == "" {
			continue
		}
		if err := a.run(ctx, `ALTER TABLE %s OWNER TO %s`, quote(name), quote(owner)); err != nil {
			return err
		}
	}
	return nil
}

// owner returns whose the tables of Papyrus are, "" if the role of the connection's: an administrator may adopt for the role of
// the services.
func (a *adopter) owner(ctx context.Context) (string, error) {
	const query = `SELECT CASE WHEN tableowner = current_user THEN '' ELSE tableowner END FROM pg_tables WHERE schemaname = $1 AND tablename = 'users'`
	return scanString(a.tx.QueryRowContext(ctx, query, a.schema))
}

// loosen drops the constraints of theirs that would refuse what this program writes, all but keys that are the same; these get
// our names. Constraints on columns that are only theirs stay.
func (a *adopter) loosen(ctx context.Context) error {
	for _, k := range a.theirs.constraints {
		if !slices.Contains(a.shared, k.table) || !a.ours.hasAll(k.table, k.columns) || a.sameKey(k) != "" {
			continue
		}
		if err := a.run(ctx, `ALTER TABLE %s DROP CONSTRAINT %s`, quote(k.table), quote(k.name)); err != nil {
			return err
		}
	}
	for _, k := range a.theirs.constraints {
		if name := a.sameKey(k); name != "" && name != k.name {
			if err := a.run(ctx, `ALTER TABLE %s RENAME CONSTRAINT %s TO %s`, quote(k.table), quote(k.name), quote(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameKey returns the name of our primary or unique key that is the same as theirs, "" if there is none.
func (a *adopter) sameKey(theirs pgConstraint) string {
	for _, k := range a.ours.constraints {
		if (k.kind == "p" || k.kind == "u") && k.table == theirs.table && k.def == theirs.def {
			return k.name
		}
	}
	return ""
}

// index gives the shared tables our indexes. Those of theirs that are the same get our names; of the others only those go that
// would refuse what this program writes.
func (a *adopter) index(ctx context.Context) error {
	theirs, err := readCatalog(ctx, a.tx, a.schema) // again: the definitions follow the types of columns
	if err != nil {
		return err
	}
	for _, i := range theirs.indexes {
		if !i.unique || !slices.Contains(a.shared, i.table) || !a.ours.hasAll(i.table, i.columns) || slices.ContainsFunc(a.ours.indexes, i.same) {
			continue
		}
		if err := a.run(ctx, `DROP INDEX %s`, quote(i.name)); err != nil {
			return err
		}
	}
	for _, i := range a.ours.indexes {
		if err := a.addIndex(ctx, i, theirs.indexes); err != nil {
			return err
		}
	}
	return nil
}

// addIndex makes an index of ours unless it came with its table, or is among theirs under another name.
func (a *adopter) addIndex(ctx context.Context, ours pgIndex, theirs []pgIndex) error {
	k := slices.IndexFunc(theirs, ours.same)
	switch {
	case k >= 0 && theirs[k].name == ours.name:
		return nil
	case k >= 0:
		return a.run(ctx, `ALTER INDEX %s RENAME TO %s`, quote(theirs[k].name), quote(ours.name))
	case ours.unique:
		return a.run(ctx, `CREATE UNIQUE INDEX %s ON %s`, quote(ours.name), ours.def)
	}
	return a.run(ctx, `CREATE INDEX %s ON %s`, quote(ours.name), ours.def)
}

// constrain gives all tables the constraints of ours that they do not have.
func (a *adopter) constrain(ctx context.Context) error {
	theirs, err := readCatalog(ctx, a.tx, a.schema)
	if err != nil {
		return err
	}
	for _, k := range a.ours.constraints { // foreign keys come last
		has := slices.ContainsFunc(theirs.constraints, func(t pgConstraint) bool { return t.table == k.table && t.name == k.name })
		if has {
			continue
		}
		if err := a.run(ctx, `ALTER TABLE %s ADD CONSTRAINT %s %s`, quote(k.table), quote(k.name), k.def); err != nil {
			return err
		}
	}
	return execIn(ctx, a.tx, `DROP SCHEMA `+adoptionSchema+` CASCADE`)
}
