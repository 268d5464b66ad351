package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recipe is the page whose files TestAddingATable makes.
const recipe = "docs/adding-a-table.md"

var (
	titled   = regexp.MustCompile("(?ms)^```\\w+ title=\"([^\"]+)\"\n(.*?)^```$")
	appended = regexp.MustCompile("(?ms)^```\\w+ append=\"([^\"]+)\"\n(.*?)^```$")
	replaced = regexp.MustCompile("(?ms)^```\\w+ replace=\"([^\"]+)\"\n(.*?)^```$")
)

// TestAddingATable does what the page says in a copy of the tree: it makes the files of its blocks, appends to others,
// replaces the lines that a block gives anew, runs the tests that the page names, and syncs a row of the new table.
func TestAddingATable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, recipe))
	if err != nil {
		t.Fatal(err)
	}
	sh := newShell(t, filepath.Join(t.TempDir(), "provisioner"))
	for _, m := range titled.FindAllStringSubmatch(string(text), -1) {
		if err := os.WriteFile(filepath.Join(sh.dir, m[1]), []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range appended.FindAllStringSubmatch(string(text), -1) {
		change(t, filepath.Join(sh.dir, m[1]), func(old string) string { return old + m[2] })
	}
	for _, m := range replaced.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(m[2]) {
			change(t, filepath.Join(sh.dir, m[1]), func(old string) string { return replaceLine(t, old, line) })
		}
	}

	sh.script(t, `
go build -o "${PATH%%:*}/provisioner" .
go test ./pkg/library ./pkg/store ./test/powersync -run 'SQLite|Encode|EveryTable'`)
	sh.serve(t)
	sh.script(t, syncShelf)
}

// change rewrites a file.
func change(t *testing.T, file string, to func(old string) string) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(to(string(old))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaceLine puts a line in place of the one in text that begins with the same three words.
func replaceLine(t *testing.T, text, line string) string {
	t.Helper()
	prefix := strings.Join(strings.SplitN(line, " ", 4)[:3], " ") + " "
	lines, found := strings.SplitAfter(text, "\n"), 0
	for i, old := range lines {
		if strings.HasPrefix(old, prefix) {
			lines[i] = line
			found++
		}
	}
	if found != 1 {
		t.Fatalf("%d lines begin with %q, want one", found, prefix)
	}
	return strings.Join(lines, "")
}

// syncShelf uploads a shelf, and finds it in the stream and in the export.
const syncShelf = `
BASE=http://127.0.0.1:8080
member() { node -pe "JSON.parse(require('fs').readFileSync(0)).$1"; }
curl -fsS $BASE/v1/auth/register -d '{"email":"ida@example.com","password":"a long password","display_name":"Ida"}' > ida.json
ACCESS=$(member access_token < ida.json)
TOKEN=$(curl -fsS -X POST $BASE/v1/auth/powersync-token -H "Authorization: Bearer $ACCESS" | member token)
curl -fsS $BASE/v1/sync/powersync-upload -H "Authorization: Bearer $ACCESS" -d '{"batch":[
  {"op_id":1,"tx_id":1,"op":"PUT","type":"shelves","id":"0f8fad5b-d9cb-469f-a165-70867728950e","data":{"name":"Blue","book_ids":["a"],"position":"2"}}]}' |
  tee answer.json
test "$(cat answer.json)" = '{"applied_count":1}'
curl -sS --max-time 3 -N $BASE/sync/stream -H "Authorization: Token $TOKEN" -H 'Content-Type: application/json' \
  -H 'Accept: application/x-ndjson' -d '{"buckets":[],"client_id":"phone","raw_data":true,"include_checksum":true}' > stream.ndjson || true
grep -q '"bucket":"1#user_shelves|0' stream.ndjson
cat stream.ndjson
grep -q '\\"name\\":\\"Blue\\",\\"position\\":2,\\"book_ids\\":\\"\[' stream.ndjson
curl -fsS $BASE/v1/users/me/export -H "Authorization: Bearer $ACCESS" | tee export.json
test "$(member 'shelves[0].name' < export.json)" = Blue
provisioner sync compact
`
