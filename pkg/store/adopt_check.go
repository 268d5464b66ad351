package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// papyrusTable is a table that Papyrus and this program both have.
type papyrusTable struct {
	name    string
	needed  bool     // a database without it is not Papyrus's
	owner   string   // the column of the user that a row belongs to, "" for users
	columns []string // that it must have
}

// papyrusTables are those whose rows go on (contract: papyrus, section 5).
var papyrusTables = []papyrusTable{
	{"users", true, "", []string{
		"user_id", "display_name", "avatar_url", "primary_email", "primary_email_verified", "created_at", "last_login_at", "disabled_at",
	}},
	{"password_credentials", true, "user_id", []string{"user_id", "password_hash", "password_changed_at"}},
	{"auth_sessions", true, "user_id", []string{
		"session_id", "user_id", "refresh_token_hash", "client_type", "device_label", "created_at", "expires_at", "revoked_at", "last_seen_at",
	}},
	{"user_identities", false, "user_id", []string{
		"identity_id", "user_id", "provider", "provider_subject", "email_at_provider", "email_verified_at_provider", "created_at", "last_used_at",
	}},
	{"email_action_tokens", false, "user_id", []string{
		"token_id", "user_id", "action_type", "token_hash", "expires_at", "used_at", "created_at",
	}},
	{"books", false, "owner_user_id", []string{"book_id", "owner_user_id", "title"}},
}

// replacedTables are those whose rows live a minute, or that are of no worth: ours take their place.
var replacedTables = []string{"auth_exchange_codes", "goose_db_version"}

// normalEmail is a user's address as this program writes it, in SQL (see account.NormalizeEmail).
const normalEmail = `lower(btrim(primary_email, E' \t\n\v\f\r'))`

// rowCheck looks for rows that are in the way.
type rowCheck struct {
	table    string
	obstacle string // has one %s: what was found
	query    string // returns one text for each thing found
}

// rowChecks are those of tables that may be there.
var rowChecks = []rowCheck{
	{
		"users", "%s have the same e-mail but for case and spaces around it: change or delete all but one",
		`SELECT string_agg(user_id::text, ' and ' ORDER BY user_id::text) FROM users GROUP BY ` + normalEmail + ` HAVING count(*) > 1 ORDER BY 1`,
	},
	{
		"users", "%s rows of users have an empty e-mail: delete them, or give them one",
		`SELECT count(*)::text FROM users WHERE ` + normalEmail + ` = '' HAVING count(*) > 0`,
	},
	{
		"password_credentials", "%s rows of password_credentials have a hash that is neither bcrypt ($2a, $2b, $2y) nor argon2id: " +
			"delete them; their users set a password by a reset mail",
		`SELECT count(*)::text FROM password_credentials WHERE password_hash !~ '^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$'
			AND password_hash !~ '^\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[+/A-Za-z0-9]+\$[+/A-Za-z0-9]+$' HAVING count(*) > 0`,
	},
	{
		"user_identities", "the identities %s have the same provider and provider_subject: delete all but one",
		`SELECT string_agg(identity_id::text, ' and ' ORDER BY identity_id::text) FROM user_identities
			GROUP BY provider, provider_subject HAVING count(*) > 1 ORDER BY 1`,
	},
}

const (
	countOrphans = `SELECT count(*)::text FROM %s t WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id::text = t.%s::text) HAVING count(*) > 0`
	countNulls   = `SELECT count(*)::text FROM %s WHERE %s IS NULL HAVING count(*) > 0`
	countNoUUIDs = `SELECT count(*)::text FROM %s WHERE %s::text !~* '^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$' HAVING count(*) > 0`

	viewsOf = `SELECT DISTINCT v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
		JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = $1::regclass AND a.attname = $2 ORDER BY 1`
	keysInto = `SELECT k.conrelid::regclass::text || ' (' || k.conname || ')' FROM pg_constraint k
		JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)
		WHERE k.contype = 'f' AND k.confrelid = $1::regclass AND a.attname = $2 AND NOT k.conrelid::regclass::text = ANY ($3) ORDER BY 1`
)

// lacking returns what a Papyrus database has and this one does not.
func lacking(theirs catalog) []string {
	var obstacles []string
	for _, t := range papyrusTables {
		if !theirs.has(t.name) {
			if t.needed {
				obstacles = append(obstacles, fmt.Sprintf("there is no table %s: is it Papyrus's database?", t.name))
			}
			continue
		}
		for _, name := range t.columns {
			if _, exists := theirs.column(t.name, name); !exists {
				obstacles = append(obstacles, fmt.Sprintf("the table %s has no column %s: is it Papyrus's?", t.name, name))
			}
		}
	}
	return obstacles
}

// inTheWay returns the tables that have the names of ours without being Papyrus's.
func inTheWay(ours, theirs catalog) []string {
	var obstacles []string
	for _, name := range ours.tables() {
		papyrus := slices.ContainsFunc(papyrusTables, func(t papyrusTable) bool { return t.name == name })
		if theirs.has(name) && !papyrus && !slices.Contains(replacedTables, name) {
			obstacles = append(obstacles, fmt.Sprintf("a table %s is in the way of provisioner's: rename it", name))
		}
	}
	return obstacles
}

// otherKeys returns the tables that are Papyrus's by name, but have another primary key.
func (a *adopter) otherKeys() []string {
	var obstacles []string
	for _, k := range a.theirs.constraints {
		if k.kind == "p" && slices.Contains(a.shared, k.table) && a.sameKey(k) == "" {
			obstacles = append(obstacles, fmt.Sprintf("the table %s has another primary key than Papyrus's, %s: change it", k.table, k.def))
		}
	}
	return obstacles
}

// obstacles returns all that is in the way of an adoption, of shapes and of rows.
func (a *adopter) obstacles(ctx context.Context) ([]string, error) {
	if lacks := lacking(a.theirs); len(lacks) > 0 {
		return lacks, nil // nothing more can be asked of it
	}
	found := append(inTheWay(a.ours, a.theirs), a.otherKeys()...)
	for _, c := range a.checks() {
		what, err := queryAll(ctx, a.tx, scanString, c.query)
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", c.table, err)
		}
		found = append(found, obstacle(c.obstacle, what)...)
	}
	for _, column := range a.changing() {
		bound, err := a.boundTo(ctx, column)
		if err != nil {
			return nil, fmt.Errorf("check %s.%s: %w", column.table, column.name, err)
		}
		found = append(found, bound...)
	}
	return found, nil
}

// obstacle says what was found, the first of it where it is much.
func obstacle(format string, found []string) []string {
	const most = 10
	if len(found) == 0 {
		return nil
	}
	what := strings.Join(found[:min(most, len(found))], "; ")
	if more := len(found) - most; more > 0 {
		what += fmt.Sprintf("; and %d more", more)
	}
	return []string{fmt.Sprintf(format, what)}
}

// checks returns those of the tables that are there, and those that follow from the shape ours are to have.
func (a *adopter) checks() []rowCheck {
	var all []rowCheck
	for _, c := range rowChecks {
		if a.theirs.has(c.table) {
			all = append(all, c)
		}
	}
	for _, t := range papyrusTables {
		if t.owner != "" && slices.Contains(a.shared, t.name) {
			all = append(all, rowCheck{
				t.name, "%s rows of " + t.name + " belong to no user: delete them", fmt.Sprintf(countOrphans, t.name, t.owner),
			})
		}
	}
	for _, ours := range a.ours.columns {
		all = append(all, a.columnChecks(ours)...)
	}
	return all
}

// columnChecks returns those of a column that is to have a value, or to be an id.
func (a *adopter) columnChecks(ours pgColumn) []rowCheck {
	theirs, exists := a.theirs.column(ours.table, ours.name)
	if !exists || !slices.Contains(a.shared, ours.table) {
		return nil
	}
	var checks []rowCheck
	rows := "%s rows of " + ours.table
	if ours.notNull && !theirs.notNull && a.filling(ours) == "" {
		empty := rows + " have no " + ours.name + ": delete them, or give them one"
		checks = append(checks, rowCheck{ours.table, empty, fmt.Sprintf(countNulls, ours.table, ours.name)})
	}
	if ours.kind == "uuid" && theirs.kind != "uuid" {
		other := rows + " have no UUID as their " + ours.name + ": change or delete them"
		checks = append(checks, rowCheck{ours.table, other, fmt.Sprintf(countNoUUIDs, ours.table, ours.name)})
	}
	return checks
}

// boundTo returns what does not let a column have another type.
func (a *adopter) boundTo(ctx context.Context, c pgColumn) ([]string, error) {
	views, err := queryAll(ctx, a.tx, scanString, viewsOf, c.table, c.name)
	if err != nil {
		return nil, err
	}
	keys, err := queryAll(ctx, a.tx, scanString, keysInto, c.table, c.name, a.shared)
	if err != nil {
		return nil, err
	}
	ours, _ := a.ours.column(c.table, c.name)
	becomes := fmt.Sprintf("%s.%s becomes %s, but ", c.table, c.name, ours.kind)
	return append(
		obstacle(becomes+"%s reads it: drop the view, and make it anew afterwards", views),
		obstacle(becomes+"%s refers to it: drop the foreign key, and make both anew afterwards", keys)...,
	), nil
}
