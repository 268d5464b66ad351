package store_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
)

// wantAdoptedBooks wants the books of testdata/papyrus in the form of their kinds, and devices to be told of them.
func wantAdoptedBooks(t *testing.T, db *store.DB) {
	t.Helper()
	got := make(map[string]map[string]any)
	for _, userID := range []string{adoptedReader, adoptedGuest} {
		rows, err := db.Rows(t.Context(), library.Books, userID, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			values := make(map[string]any)
			for i, c := range library.Books.Columns {
				if r.Row[i] != nil {
					values[c.Name] = r.Row[i]
				}
			}
			got[r.ID[len(r.ID)-1:]] = values
		}
	}
	const at = "2026-01-02T03:04:05.000000Z"
	want := map[string]map[string]any{
		"1": {
			"title": "Middlemarch", "co_authors": `[]`, "current_position": 0.25, "page_count": int64(880),
			"added_at": "2026-01-02T03:04:05.678900Z", "updated_at": at,
		},
		"2": {"title": "Untitled Book", "co_authors": `["Mary Ann Evans"]`, "custom_metadata": `{"value": ["x"]}`},
		"3": {
			"title": "Good Omens", "co_authors": `["Terry Pratchett", "7"]`, "custom_metadata": `{"b": 1, "aa": "ü"}`,
			"added_at": at, "updated_at": at,
		},
		"4": {"title": "Untold", "added_at": at, "updated_at": at},
	}
	for _, values := range want {
		values["is_favorite"], values["reading_status"] = int64(0), "notStarted"
	}
	for _, name := range []string{"added_at", "updated_at"} { // of when it was adopted
		if when, _ := got["2"][name].(string); when < "2026" {
			t.Errorf("%s of a book that had no such time: %q", name, when)
		}
		delete(got["2"], name)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	if told, err := db.Backfill(t.Context(), 100); err != nil || told != len(want) {
		t.Errorf("Backfill() = %d, %v", told, err)
	}
}

func TestAdoptedBooks(t *testing.T) {
	for name, before := range map[string]string{"as Papyrus makes them": "", "of other types": otherBooks} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPapyrus(t, "schema.sql", "rows.sql")
			p.mustExec(t, before)
			wantAdoptedBooks(t, p.adopt(t))
		})
	}
}

// TestBooksOfAnEarlierAdoption migrates a database that was adopted by a version without books: Papyrus's are still there.
func TestBooksOfAnEarlierAdoption(t *testing.T) {
	for name, before := range map[string]string{
		"as Papyrus makes them":   "",
		"of other types":          otherBooks,
		"with the names of ours":  `ALTER TABLE books RENAME CONSTRAINT pk_books TO books_pkey; ALTER INDEX ix_books_owner_isbn13 RENAME TO books_untold_idx`,
		"dropped in the meantime": `DROP TABLE books CASCADE`,
		"of users who are no more": `ALTER TABLE books DROP CONSTRAINT fk_books_owner_user_id_users; 
			INSERT INTO books (book_id, owner_user_id, title, shelf) SELECT gen_random_uuid(), gen_random_uuid(), 'Orphan', ''`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fresh := newPapyrus(t)
			if err := fresh.open(t).Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			p := earlierAdoption(t)
			p.mustExec(t, before)
			db := p.open(t)
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(p.schemaOf(t), func(line string) bool {
				return slices.ContainsFunc(onlyTheirs, func(part string) bool { return strings.Contains(line, part) })
			})
			if diff := cmp.Diff(fresh.schemaOf(t), got); diff != "" {
				t.Errorf("schema (-migrated +adopted):\n%s", diff)
			}
			if !strings.HasPrefix(before, "DROP") {
				wantAdoptedBooks(t, db)
			}
		})
	}
}

func TestBooksOfAnotherServer(t *testing.T) {
	p := earlierAdoption(t)
	p.mustExec(t, `DROP TABLE books CASCADE; CREATE TABLE books (id int PRIMARY KEY)`)
	if err := p.open(t).Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "the table books has another primary key") {
		t.Errorf("Migrate() = %v", err)
	}
}

// earlierAdoption is a database of Papyrus whose accounts were adopted, and whose books were not.
func earlierAdoption(t *testing.T) papyrus {
	t.Helper()
	p := newPapyrus(t, "schema.sql", "rows.sql")
	p.adopt(t)
	for _, table := range p.mustList(t, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND (tablename LIKE 'sync\_%' OR tablename IN ('books', 'reviews'))`) {
		p.mustExec(t, `DROP TABLE `+table+` CASCADE`)
	}
	p.mustExec(t, `DROP PUBLICATION powersync; DELETE FROM goose_db_version WHERE version_id >= 4`)
	for _, part := range [][2]string{{"schema.sql", "CREATE TABLE books"}, {"rows.sql", "INSERT INTO books"}} {
		file, start := part[0], part[1]
		text, err := os.ReadFile("testdata/papyrus/" + file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), start)
		p.mustExec(t, start+rest)
	}
	return p
}
