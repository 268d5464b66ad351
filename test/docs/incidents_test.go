package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/test/vectors"
)

var (
	testName   = regexp.MustCompile("`([a-z0-9/]+)\\.(Test\\w+)(/[^`]+)?`")
	identifier = regexp.MustCompile(`CVE-\d{4}-\d+|GHSA-[\w-]+|[\w-]+#\d+|AWS Signature 1|SNS SigningCertUrl`)
)

// incidents are those that concern this program, by their identifiers. Each has a row on the page, and each row a test.
var incidents = []string{
	"CVE-2025-61928", "CVE-2026-41432", "CVE-2026-21894", "CVE-2022-43411", "CVE-2022-43412", "CVE-2024-21491", "AWS Signature 1",
	"CVE-2026-40344", "SNS SigningCertUrl", "Misskey#2545", "NodeBB#14241", "LemmyNet#109", "discourse-activity-pub#325", "Misskey#2546",
	"CVE-2026-1035", "GHSA-m2w5-7xhv-w6fh", "VilnaCRM#474", "Infisical#5947", "CVE-2025-46815", "CVE-2026-28513", "CVE-2026-28512",
	"CVE-2026-9689", "CVE-2026-44166", "CVE-2024-38351", "CVE-2026-31813", "GHSA-3529-5m8x-rpv3", "CVE-2026-27946", "CVE-2026-55669",
	"CVE-2025-65107", "CVE-2025-68158", "CVE-2025-14546", "CVE-2025-68481", "CVE-2026-4634", "CVE-2025-2559", "CVE-2026-8922",
	"CVE-2025-30204", "CVE-2025-27144", "CVE-2025-22868", "CVE-2024-28180", "CVE-2026-55677", "CVE-2026-33816", "CVE-2026-32286",
	"Authelia#1044", "argon2id#35", "openziti#4420", "Tyk#5486", "Kong#5437", "GHSA-xff3-5c9p-2mr4",
}

// TestEveryIncidentHasATest holds the page of incidents to the tests that it names.
func TestEveryIncidentHasATest(t *testing.T) {
	rows := map[string]bool{} // by identifier
	for _, cells := range rowsWithTests(t, "docs/incidents.md", 4) {
		for _, id := range identifier.FindAllString(cells[0], -1) {
			rows[id] = true
		}
	}
	for _, id := range incidents {
		if !rows[id] {
			t.Errorf("the page has no row for %s", id)
		}
		delete(rows, id)
	}
	for id := range rows {
		t.Errorf("%s is not among the incidents of this test", id)
	}
}

// rowsWithTests returns the cells of the rows that a page has under a last column "Tests". It holds them to their number of cells, and
// that column to tests that there are; after a slash one of test/vectors names a vector.
func rowsWithTests(t *testing.T, file string, cells int) [][]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	within := false
	for line := range strings.Lines(string(page)) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		isHead := strings.HasSuffix(line, "| Tests |\n")
		within = isHead || within && strings.HasPrefix(line, "|")
		if !within || isHead || strings.HasPrefix(line, "| ---") {
			continue
		}
		if len(row) != cells {
			t.Errorf("%s: a row of %d cells: %s", file, len(row), line)
			continue
		}
		checkTests(t, strings.TrimSpace(row[0]), row[cells-1])
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no rows with tests", file)
	}
	return rows
}

// checkTests wants a cell to name tests, and nothing else, all of which there are.
func checkTests(t *testing.T, row, cell string) {
	t.Helper()
	named := testName.FindAllStringSubmatch(cell, -1)
	if len(named) == 0 || len(named) != strings.Count(cell, "`")/2 {
		t.Errorf("%s names no tests, or what is none: %s", row, cell)
	}
	for _, name := range named {
		if !tests(t, name[1])[name[2]] {
			t.Errorf("%s: %s has no %s", row, name[1], name[2])
		}
		if vector := strings.TrimPrefix(name[3], "/"); vector != "" && !vectorNames(t)[vector] {
			t.Errorf("%s: there is no vector %q", row, vector)
		}
	}
}

// vectorNames returns the names of all vectors.
func vectorNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, v := range vectors.Load[vectors.Call](t, "retries.json") {
		names[v.Name] = true
	}
	for _, v := range vectors.Load[vectors.Session](t, "tokens.json") {
		names[v.Name] = true
	}
	return names
}

// tests returns the names of the tests in a directory.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := fs.Glob(os.DirFS(filepath.Join(root, dir)), "*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// TestLibrariesAreMended wants libraries no older than the versions that mended what is on the page of incidents.
func TestLibrariesAreMended(t *testing.T) {
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for path, mended := range map[string][3]int{
		"github.com/labstack/echo/v4":   {4, 15, 4},
		"github.com/golang-jwt/jwt/v5":  {5, 2, 2},
		"github.com/go-jose/go-jose/v4": {4, 0, 5},
		"golang.org/x/oauth2":           {0, 27, 0},
		"github.com/jackc/pgx/v5":       {5, 12, 0},
	} {
		required := regexp.MustCompile(`\b` + regexp.QuoteMeta(path) + ` v(\d+)\.(\d+)\.(\d+)`).FindStringSubmatch(string(module))
		if required == nil {
			t.Errorf("go.mod does not require %s", path)
			continue
		}
		for i, least := range mended {
			number, err := strconv.Atoi(required[i+1])
			if err != nil {
				t.Fatal(err)
			}
			if number < least {
				t.Errorf("go.mod requires %s, want at least %v", required[0], mended)
			}
			if number != least {
				break
			}
		}
	}
}
