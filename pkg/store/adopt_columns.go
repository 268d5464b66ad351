package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// missingValues are those of columns, in SQL, where ours must have one and theirs has none. Others take the column's default.
var missingValues = map[string]string{
	"users.display_name":                       `split_part(primary_email, '@', 1)`,
	"users.created_at":                         `now()`,
	"password_credentials.password_changed_at": `now()`,
	"auth_sessions.client_type":                `'unknown'`,
	"auth_sessions.created_at":                 `now()`,
	"auth_sessions.last_seen_at":               `created_at`,
	"auth_sessions.ends_at":                    `greatest(created_at + interval '365 days', expires_at)`, // no live session ends by it
	"user_identities.created_at":               `now()`,
	"email_action_tokens.created_at":           `now()`,
	"books.title":                              `'Untitled Book'`,
}

// tidying brings rows into the form in which this program writes them.
var tidying = []struct{ table, statement string }{
	{"users", `UPDATE users SET primary_email = ` + normalEmail + ` WHERE primary_email <> ` + normalEmail},
	{"auth_sessions", `UPDATE auth_sessions SET client_type = 'unknown' WHERE client_type NOT IN ('mobile', 'desktop', 'web', 'unknown')`},
	{"auth_sessions", `UPDATE auth_sessions SET refresh_token_hash = lower(refresh_token_hash) WHERE refresh_token_hash <> lower(refresh_token_hash)`},
	{"email_action_tokens", `DELETE FROM email_action_tokens WHERE used_at IS NOT NULL OR expires_at <= now()
		OR action_type NOT IN ('verify_email', 'reset_password') OR token_hash !~ '^[0-9a-f]{64}$'`},
	{"books", `UPDATE books SET title = 'Untitled Book' WHERE title = ''`},
	{"books", `UPDATE books SET added_at = now() WHERE NOT isfinite(added_at)`},
	{"books", `UPDATE books SET updated_at = now() WHERE NOT isfinite(updated_at)`},
	{"books", `UPDATE books SET current_position = NULL WHERE current_position IN ('NaN', 'Infinity', '-Infinity')`},
	{"books", `UPDATE books SET co_authors = CASE jsonb_typeof(co_authors) WHEN 'null' THEN NULL
		WHEN 'array' THEN (SELECT coalesce(jsonb_agg(name ORDER BY n), '[]') FROM jsonb_array_elements_text(co_authors)
			WITH ORDINALITY AS a (name, n) WHERE name IS NOT NULL)
		ELSE jsonb_build_array(co_authors #>> '{}') END WHERE co_authors IS NOT NULL`}, // a list of texts
	{"books", `UPDATE books SET custom_metadata = CASE jsonb_typeof(custom_metadata) WHEN 'null' THEN NULL
		ELSE jsonb_build_object('value', custom_metadata) END WHERE jsonb_typeof(custom_metadata) <> 'object'`},
}

// filling returns the value of a column of ours where there is none, "" if nobody can tell.
func (a *adopter) filling(c pgColumn) string {
	name := c.table + "." + c.name
	if name == "users.plan" {
		return "'" + strings.ReplaceAll(a.plan, "'", "''") + "'::text"
	}
	if value, ok := missingValues[name]; ok {
		return value
	}
	return c.value
}

// changing returns the columns of shared tables whose type becomes another.
func (a *adopter) changing() []pgColumn {
	var columns []pgColumn
	for _, theirs := range a.theirs.columns {
		ours, exists := a.ours.column(theirs.table, theirs.name)
		if exists && slices.Contains(a.shared, theirs.table) && ours.kind != theirs.kind {
			columns = append(columns, theirs)
		}
	}
	return columns
}

// shape gives the columns of shared tables the form of ours.
func (a *adopter) shape(ctx context.Context) error {
	for _, ours := range a.ours.columns {
		if !slices.Contains(a.shared, ours.table) {
			continue
		}
		if err := a.shapeColumn(ctx, ours); err != nil {
			return err
		}
	}
	return a.optional(ctx)
}

func (a *adopter) shapeColumn(ctx context.Context, ours pgColumn) error {
	theirs, exists := a.theirs.column(ours.table, ours.name)
	if !exists {
		return a.addColumn(ctx, ours)
	}
	if theirs.kind != ours.kind {
		if err := a.convert(ctx, theirs, ours.kind); err != nil {
			return err
		}
		theirs.value = ""
	}
	if theirs.value != ours.value {
		if err := a.setDefault(ctx, ours); err != nil {
			return err
		}
	}
	switch {
	case ours.notNull && !theirs.notNull:
		return a.require(ctx, ours)
	case theirs.notNull && !ours.notNull:
		return a.alter(ctx, ours, "DROP NOT NULL")
	}
	return nil
}

// addColumn adds a column of ours. One with a default has a filling that is the same in all rows.
func (a *adopter) addColumn(ctx context.Context, c pgColumn) error {
	added := "ADD COLUMN " + quote(c.name) + " " + c.kind
	filling := a.filling(c)
	if c.value != "" {
		added += " DEFAULT " + filling
	}
	if err := a.run(ctx, `ALTER TABLE %s %s`, quote(c.table), added); err != nil {
		return err
	}
	if c.value != "" && c.value != filling {
		if err := a.setDefault(ctx, c); err != nil {
			return err
		}
	}
	if !c.notNull {
		return nil
	}
	return a.require(ctx, c)
}

// alter changes one column.
func (a *adopter) alter(ctx context.Context, c pgColumn, change string) error {
	return a.run(ctx, `ALTER TABLE %s ALTER COLUMN %s %s`, quote(c.table), quote(c.name), change)
}

// convert gives a column of theirs another type, and no default: it may be of no other.
func (a *adopter) convert(ctx context.Context, c pgColumn, kind string) error {
	if c.value != "" {
		if err := a.alter(ctx, c, "DROP DEFAULT"); err != nil {
			return err
		}
	}
	return a.alter(ctx, c, "TYPE "+kind+" USING "+cast(quote(c.name), c.kind, kind))
}

func (a *adopter) setDefault(ctx context.Context, c pgColumn) error {
	if c.value == "" {
		return a.alter(ctx, c, "DROP DEFAULT")
	}
	return a.alter(ctx, c, "SET DEFAULT "+c.value)
}

// require fills a column and makes it one that always has a value.
func (a *adopter) require(ctx context.Context, c pgColumn) error {
	if filling := a.filling(c); filling != "" {
		if err := a.run(ctx, `UPDATE %s SET %s = %s WHERE %[2]s IS NULL`, quote(c.table), quote(c.name), filling); err != nil {
			return err
		}
	}
	return a.alter(ctx, c, "SET NOT NULL")
}

// cast returns a column's value as another type. Times without a zone are UTC; whole numbers that are too large are dropped.
func cast(name, from, to string) string {
	if strings.HasPrefix(from, "timestamp") && strings.HasSuffix(from, "without time zone") && to == "timestamp with time zone" {
		return name + ` AT TIME ZONE 'UTC'`
	}
	if to == "integer" && (from == "bigint" || strings.HasPrefix(from, "numeric")) {
		return `CASE WHEN ` + name + ` BETWEEN -2147483648 AND 2147483647 THEN ` + name + `::integer END`
	}
	return name + "::" + to
}

// optional lets columns that only they have be empty: this program does not write them.
func (a *adopter) optional(ctx context.Context) error {
	for _, c := range a.theirs.columns {
		_, known := a.ours.column(c.table, c.name)
		if known || !slices.Contains(a.shared, c.table) || !c.notNull || c.value != "" || c.generated {
			continue
		}
		a.remark("the column %s.%s is empty in new rows: provisioner does not know it", c.table, c.name)
		if err := a.alter(ctx, c, "DROP NOT NULL"); err != nil {
			return err
		}
	}
	return nil
}

// tidy changes the rows.
func (a *adopter) tidy(ctx context.Context) error {
	for _, t := range tidying {
		if !slices.Contains(a.shared, t.table) {
			continue
		}
		if err := a.run(ctx, "%s", t.statement); err != nil {
			return err
		}
	}
	return nil
}

const (
	countAdopted = `SELECT (SELECT count(*) FROM users), count(*) FILTER (WHERE refresh_token_hash ~ '^[0-9a-f]{64}$'), count(*)
		FROM auth_sessions WHERE revoked_at IS NULL AND expires_at > now() AND ends_at > now()`
	restrictingKeys = `SELECT k.conrelid::regclass::text || ' (' || k.conname || ')' FROM pg_constraint k
		WHERE k.contype = 'f' AND k.confdeltype IN ('a', 'r') AND k.confrelid::regclass::text = ANY ($1) ORDER BY 1`
)

// tell counts what was adopted, and remarks on what does not go on by itself.
func (a *adopter) tell(ctx context.Context) error {
	var live int64
	if err := a.tx.QueryRowContext(ctx, countAdopted).Scan(&a.done.Users, &a.done.Sessions, &live); err != nil {
		return err
	}
	if ended := live - a.done.Sessions; ended > 0 {
		a.remark("%d sessions have a refresh_token_hash that is no SHA-256 in hex: their users have to sign in again", ended)
	}
	keys, err := queryAll(ctx, a.tx, scanString, restrictingKeys, a.shared)
	for _, key := range keys {
		a.remark("%s does not let an account be deleted that has rows there: make its foreign key ON DELETE CASCADE", key)
	}
	return err
}

func (a *adopter) remark(format string, args ...any) {
	a.done.Remarks = append(a.done.Remarks, fmt.Sprintf(format, args...))
}
