package store

import (
	"context"
	"crypto/sha256"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/postgres"
)

// filled is how many rows each growing table has while the plans are asked for. Postgres reads small tables whole.
var filled = map[Engine]int{SQLite: 1000, Postgres: 20_000}

// TestPlans asks both engines how they would run each statement on tables that have grown: by an index.
func TestPlans(t *testing.T) {
	for engine, config := range map[Engine]Config{
		SQLite:   {Engine: SQLite, Path: filepath.Join(t.TempDir(), "plans.db")},
		Postgres: {Engine: Postgres, URL: secret.New(postgres.NewDatabase(t))},
	} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			db, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			fill(t, db)
			for statement, args := range plans(db) {
				for line := range strings.Lines(explainPlan(t, db, statement, args)) {
					if scansTable(line) {
						t.Errorf("%s\n%s", statement, line)
					}
				}
			}
		})
	}
}

// fill inserts rows into every table that grows. The words in capitals are what the engines write differently.
func fill(t *testing.T, db *DB) {
	t.Helper()
	rows := strconv.Itoa(filled[db.engine])
	words := strings.NewReplacer(
		"SERIES", `WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < `+rows+`) SELECT`,
		"ID", `printf('00000000-0000-4000-8000-%012x', n)`, "HASH", `unhex(printf('%064x', n))`, "HEX", `printf('%064x', n)`,
		"TIME", `n * 1000000`, "FROM", `FROM series`, "NULLTIME", `NULL`)
	if db.engine == Postgres {
		words = strings.NewReplacer(
			"SERIES", `SELECT`, "ID", `lpad(to_hex(n), 32, '0')::uuid`, "HASH", `decode(lpad(to_hex(n), 64, '0'), 'hex')`,
			"HEX", `lpad(to_hex(n), 64, '0')`, "TIME", `to_timestamp(n)`, "NULLTIME", `NULL::timestamptz`,
			"FROM", `FROM generate_series(1, `+rows+`) AS series (n)`)
	}
	conn, err := db.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	run := func(statement string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if db.engine == Postgres {
		run(`SET session_replication_role = replica`) // the references are right: do not look each up
	}
	for _, table := range fillings {
		run(words.Replace(table))
	}
	if db.engine == Postgres {
		run(`RESET session_replication_role`)
	}
	run(`ANALYZE`)
}

var fillings = []string{
	`INSERT INTO users (user_id, primary_email, display_name, created_at) SERIES ID, n || '@example.com', 'Reader', TIME FROM`,
	`INSERT INTO password_credentials SERIES ID, 'hash', TIME FROM`,
	`INSERT INTO user_preferences SERIES ID, HASH FROM`,
	`INSERT INTO user_identities SERIES ID, ID, 'google', HEX, '', '1', TIME, TIME FROM`,
	`INSERT INTO auth_sessions SERIES ID, ID, CASE WHEN n % 100 = 0 THEN HEX END, 0, 'web', 'Firefox', TIME, TIME, TIME, TIME,
		CASE WHEN n % 5 = 0 THEN TIME END FROM`,
	`INSERT INTO api_keys SERIES ID, ID, 'key', 'obtk_abc', HASH, 'new', TIME, TIME, NULLTIME, NULLTIME, ID FROM`,
	`INSERT INTO api_key_issues SERIES ID, 'intent', HASH, HASH, TIME FROM`,
	`INSERT INTO nonces SERIES HASH, TIME FROM`,
	`INSERT INTO events (user_id, action, sent_at, received_at, verified, body) SERIES HEX, 'opened', TIME, TIME, '1', HASH FROM`,
	`INSERT INTO event_digests SERIES HASH, TIME, TIME FROM`,
	`INSERT INTO idempotency_claims SERIES HASH, HEX, HASH, 'owner', 'upstream', TIME, HASH, TIME FROM`,
	`INSERT INTO oidc_states SERIES HASH, 'uri', 'challenge', ID, 'nonce', 'verifier', HASH, TIME FROM`,
	`INSERT INTO auth_exchange_codes (code_hash, purpose, user_id, code_challenge, expires_at) SERIES HASH, 'login', ID, '', TIME FROM`,
	`INSERT INTO email_action_tokens SERIES ID, ID, 'verify_email', HEX, TIME, NULLTIME, TIME FROM`,
	`INSERT INTO mail_outbox SERIES ID, 'verify_email', n || '@example.com', TIME, TIME, 1 FROM`,
	`INSERT INTO audit_log (at, kind, user_id, refusal_key) SERIES TIME, 'kind ' || n % 100, HEX, HASH FROM`,
	`INSERT INTO books (book_id, owner_user_id, title, added_at, updated_at, op_id)
		SERIES ID, ID, 'Book', TIME, TIME, CASE WHEN n % 100 > 0 THEN n END FROM`,
	`INSERT INTO sync_heads SERIES ID, n FROM`,
	`INSERT INTO sync_buckets (user_id, stream, checksum, count, void)
		SERIES ID, 'user_books', n, n, CASE WHEN n % 100 > 0 THEN 0 ELSE n END FROM`,
	`INSERT INTO sync_ops SERIES 1 + n % 100, n, 'PUT', 'books', ID, n, HASH FROM`,
	`INSERT INTO sync_clients SERIES ID, 'phone', n, TIME FROM`,
	`INSERT INTO sync_tombstones SERIES ID, 'books', ID, TIME FROM`,
	`INSERT INTO sync_uploads SERIES ID, HASH, HASH, TIME FROM`,
	`INSERT INTO sync_dead_letters SERIES ID, ID, ID, TIME, HASH, HASH, 32 FROM`,
}

// scansTable reports whether a line of a plan reads a whole table that grows: "SCAN users" of SQLite, which reads by an index
// in "SCAN users USING INDEX …" and a result of its own in "SCAN due", or "Seq Scan on users" of Postgres.
func scansTable(line string) bool {
	scan := regexp.MustCompile(`SCAN (\w+)|Seq Scan on (\w+)`).FindStringSubmatch(line)
	if scan == nil || strings.Contains(line, " USING ") {
		return false
	}
	few := []string{"signing_keys", "due", "page", "json_each", "CONSTANT"} // a handful of rows, a page of some, arguments, one
	return !slices.Contains(few, scan[1]+scan[2])
}

// plans returns statements with arguments.
func plans(db *DB) map[string][]any {
	at := func(n int) any { return db.at(time.Unix(int64(n), 0)) }
	now, id, digest := at(filled[db.engine]/2), "00000000-0000-4000-8000-000000000000", make([]byte, sha256.Size)
	hexes := strings.Repeat("0", 2*sha256.Size)
	past, future := at(1), at(filled[db.engine])
	all := map[string][]any{
		insertNonce:                         {digest, now},
		insertDigest:                        {digest, now, now},
		insertEvent:                         {"", "", now, now, true, digest},
		selectEvents + oldestFirst:          {now, 0, future, "", 10},
		selectEvents + ofUser + oldestFirst: {now, 0, future, "", 10, "reader"},
		deleteEvents:                        {id},

		insertClaim:   {digest, "", digest, "", "", now, now},
		selectClaim:   {digest},
		replaceClaim:  {digest, "", digest, "", "", now, now},
		takeClaim:     {digest, "", now},
		completeClaim: {digest, "", digest},
		releaseClaim:  {digest, ""},
		abandonClaim:  {digest, "", now},
		deleteClaims:  {id},

		insertUser:        {id, "", true, "", "", "", now, now, nil},
		userByID:          {id},
		userByEmail:       {"reader@example.com"},
		usersAfter:        {now, id, 10},
		firstUsers:        {10},
		updateLogin:       {id, now},
		updateProfile:     {id, "", ""},
		updatePlan:        {id, ""},
		updateDisabled:    {id, now},
		deleteUser:        {id},
		deleteMail:        {""},
		selectPreferences: {id},
		upsertPreferences: {id, digest},

		insertPassword:     {id, "", now},
		upsertPassword:     {id, "", now},
		selectPassword:     {id},
		updatePassword:     {id, "", "", now},
		credentialsByEmail: {"reader@example.com"},
		insertToken:        {id, id, "", hexes, now, now},
		spendToken:         {hexes, "", now},
		voidTokens:         {id, "", now},
		userOfToken:        {hexes, "", now},
		selectVerified:     {id},
		verifyUser:         {id},

		insertIdentity:     {id, id, "", "", "", true, now, now},
		upsertIdentity:     {id, id, "", "", "", true, now, now},
		updateIdentity:     {id, "google", "", "", true, now},
		userByIdentity:     {"google", ""},
		identitiesOfUser:   {id},
		deleteIdentities:   {id},
		insertExchangeCode: {digest, "", id, "", nil, "", "", "", true, nil, nil, now},
		takeExchangeCode:   {digest, now},
		deleteCodes:        {id},
		insertState:        {digest, "", "", nil, "", "", digest, now},
		takeState:          {digest, now},

		insertSession:   {id, id, 0, "", "", now, now, now, now, nil},
		sessionByID:     {id},
		liveSessions:    {id, now},
		userOfSession:   {id},
		adoptedSession:  {hexes},
		adoptedSessions: nil,
		stepSession:     {id, 0, now, now},
		revokeSession:   {id, now},
		revokeUser:      {id, now},
		revokeUserBut:   {id, now, id},

		selectIssue:    {id, "", now},
		upsertIssue:    {id, "intent", digest, digest, now},
		selectOwner:    {id},
		countLive:      {id, now},
		insertAPIKey:   {id, id, "", "", digest, "", now, nil, nil, nil},
		keyByHash:      {digest},
		keyOfUser:      {id, id},
		firstKeys:      {id, 10},
		keysBefore:     {id, now, id, 10},
		isReplaced:     {id},
		replaceKey:     {id, id, now, now},
		revokeKey:      {id, id, now},
		revokeKeys:     {id, now},
		revokeReplaced: {id, now, id},
		updateUse:      {id, now},

		selectSigningKeys: {""},
		insertSigningKey:  {"", "", digest, now, now},
		deleteSigningKey:  {"", ""},

		insertMail:            {id, "", "", now, now, 0},
		leaseMail(db.dialect): {now, now, 4},
		dropMail:              {id},
		retryMail:             {id, now},

		insertAudit:                             {now, "", "", "", "", "", "", "", 1},
		insertRefusal:                           {now, "", "", "", "", "", "", "", 1, digest},
		selectAudit + auditNewest:               {math.MaxInt64, past, future, 10},
		selectAudit + auditOfUser + auditNewest: {math.MaxInt64, past, future, 10, id, ""},
		selectAudit + auditOfKind + auditNewest: {math.MaxInt64, past, future, 10, "kind 1"},
		forgetNetworks:                          {id},

		holdHead:                    {id},
		stepHead:                    {id, 1},
		growBucket:                  {id, 1, library.Books.Stream(), 1, 1},
		insertOp:                    {1, 1, "PUT", "books", id, 1, digest},
		selectAnswer:                {id, digest},
		insertAnswer:                {id, digest, digest, now},
		insertLetter:                {id, id, id, now, digest, digest, 32},
		dropExcess:                  {id, 1, 1},
		letterHeads + lettersNewest: {now, id, 10},
		letterHeads + lettersOfUser + lettersNewest: {now, id, 10, id},
		letterByID:   {id},
		deleteLetter: {id},

		selectSnapshot:   {id, "phone"},
		selectCompacted:  {id, library.Books.Stream()},
		selectOps:        {id, library.Books.Stream(), 1, math.MaxInt64, 1000},
		stepClient:       {id, "phone", 1, now, true},
		insertClient:     {id, "phone", 1, now, true},
		forgetClients:    {id, 1000, math.MaxInt64},
		bucketsToCompact: {1},
		noteCompaction:   {1, 1, 1, 1},
		forgetVoid:       {1, 1},
		firstOps:         {1, compactChunk},
		deleteRun:        {1, 100},
		replaceRun:       {1, 100, 1},
	}
	for _, t := range library.Tables {
		ids := db.ids([]string{id})
		all[db.tables[t].look] = []any{id, t.Name, ids}
		all[db.tables[t].find] = []any{id, ids}
		all[db.tables[t].put] = make([]any, len(insertedColumns(t)))
		all[db.tables[t].remove] = []any{id, ids}
		all[db.tables[t].bury] = []any{id, t.Name, ids, now}
		all[db.tables[t].first] = []any{id, 10}
		all[db.tables[t].further] = []any{id, 10, id}
		all[db.tables[t].firstSizes] = []any{id, 10}
		all[db.tables[t].furtherSizes] = []any{id, 10, id}
		all[db.tables[t].untoldSizes] = []any{id, backfillChunk}
		all[countVoid(db.dialect, t)] = []any{1, 0, compactChunk, id}
		all[moveVoid(db.dialect, t)] = []any{1, 0, 10_000, id}
		all[forgetFirst(db.dialect, t)] = []any{1, id, backfillChunk}
		all[untoldOwners(t)] = []any{100}
		all[db.tables[t].untold+db.skipLocked] = []any{id, backfillChunk}
		all[tellRows(db.dialect, t)] = []any{1, db.ids([]string{id})}
		all[sumUntold(t)] = nil
	}
	for _, e := range []expired{
		expiredNonces, expiredDigests, expiredClaims, expiredIssues, endedSessions, oldEvents, expiredCodes, expiredStates, endedTokens,
		oldAudit, oldUploads, silentClients,
	} {
		all[e.statement(db.dialect)] = []any{at(100), purgeChunk}
	}
	if db.engine == Postgres {
		all[selectOpsWithin] = []any{id, library.Books.Stream(), 1, math.MaxInt64, 1000, 1 << 20}
		all[notify] = []any{changesChannel, ""}
		all[insertNonces] = []any{[][]byte{digest}, []time.Time{time.Now()}}
		all[insertDigests] = []any{[][]byte{digest}, []time.Time{time.Now()}, []time.Time{time.Now()}}
		all[insertEvents] = []any{
			[]string{""}, []string{""}, []time.Time{time.Now()}, []time.Time{time.Now()}, []bool{true}, [][]byte{digest},
		}
		all[insertOps] = []any{
			id, 1, library.Books.Stream(), 1, 1, []string{"PUT"}, []string{"books"}, []string{id}, []int64{1}, [][]byte{digest},
		}
		all[holdUsers] = []any{[]string{id}}
		all[updateUses] = []any{[]string{id}, []time.Time{time.Now()}}
		all[insertRefusals] = refusalColumns(merge([]audit.Entry{{Kind: audit.SignInRefused}}))
	} else {
		all[selectVersion] = nil
	}
	return all
}

// explainPlan returns how the engine would run a statement.
func explainPlan(t *testing.T, db *DB, statement string, args []any) string {
	t.Helper()
	explain := `EXPLAIN QUERY PLAN `
	if db.engine == Postgres {
		explain = `EXPLAIN `
	}
	rows, err := db.write.QueryContext(t.Context(), explain+statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	lines, err := scanAll(rows, func(r row) (line string, err error) {
		var ignored int
		dest := []any{&line}
		if db.engine == SQLite {
			dest = []any{&ignored, &ignored, &ignored, &line}
		}
		err = r.Scan(dest...)
		return line, err
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return strings.Join(lines, "\n")
}

// beginnings are constants that statements begin with.
var beginnings = []string{"selectUsers", "selectEvents", "selectKeys", "selectAudit", "selectDue", "letterHeads", "purgeByKey", "purgeByPlace"}

// wholes are constants that read whole tables, for an operator who asks.
var wholes = []string{"sumBuckets", "sumClients", "sumLetters"}

// TestPlansAreComplete wants every constant of this package that is a statement to be among the plans.
func TestPlansAreComplete(t *testing.T) {
	db, err := openPostgres(Config{URL: secret.New("postgres://localhost/nowhere")}) // it does not connect
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	planned := plans(db)
	statement := regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH)\b`)
	found := 0
	for name, value := range constants(t) {
		if !statement.MatchString(value) {
			continue
		}
		found++
		if _, ok := planned[value]; !ok && !slices.Contains(beginnings, name) && !slices.Contains(wholes, name) {
			t.Errorf("%s is not among the plans", name)
		}
	}
	if found < 80 {
		t.Errorf("only %d statements found", found)
	}
}

// constants returns the string constants of this package, by name.
func constants(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	exprs := make(map[string]ast.Expr)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "adopt") { // that runs once, on another schema
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, value := range spec.Values {
					exprs[spec.Names[i].Name] = value
				}
			}
			return true
		})
	}
	values := make(map[string]string)
	for name, expr := range exprs {
		values[name] = evaluate(exprs, expr)
	}
	return values
}

// evaluate returns the text of a constant expression, "" for any other.
func evaluate(exprs map[string]ast.Expr, expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value) // "" for a number
		return text
	case *ast.Ident:
		return evaluate(exprs, exprs[e.Name])
	case *ast.BinaryExpr:
		return evaluate(exprs, e.X) + evaluate(exprs, e.Y)
	default:
		return ""
	}
}

// TestMigrateSoon holds the start of a program to a look at two tables: an up-to-date schema waits for nobody's lock.
func TestMigrateSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soon.db")
	db, err := openSQLite(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFile(t.Context(), path+".migrate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := db.Migrate(ctx); err != nil {
		t.Error(err)
	}
}
