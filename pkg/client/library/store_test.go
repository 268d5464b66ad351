package library

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// newStore returns an empty library of a user of whom no server knows.
func newStore(t *testing.T) *DataStore {
	t.Helper()
	db, err := powersync.Open(t.Context(), filepath.Join(t.TempDir(), AccountFile), Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &DataStore{db: db, now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC) }}
}

var everything = Book{
	Title: "Emma", Subtitle: "A novel", Author: "Jane Austen", CoAuthors: []string{"Ada", "Bob"}, ISBN: "0140328726", ISBN13: "9780140328721",
	Publisher: "John Murray", Language: "en", PageCount: 474, Description: "Of manners.\n\nAnd more.", CoverImageURL: "https://example.com/c.jpg",
	ReadingStatus: InProgress, CurrentPage: 7, CurrentPosition: 0.25, CurrentCFI: "epubcfi(/6/4)", IsFavorite: true, Rating: 5,
	CustomMetadata: map[string]any{"shelf": "blue", "n": json.Number("9007199254740993")},
}

// queue returns what waits for its upload, a line for each mutation, but for ids.
func queue(t *testing.T, db *powersync.DB) []string {
	t.Helper()
	var lines []string
	for {
		next, ok, err := db.NextTransaction(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return lines
		}
		for _, m := range next.Mutations {
			lines = append(lines, fmt.Sprintf("%d %s %s %s", next.ID, m.Kind, m.Table, m.Data))
		}
		if err := db.Complete(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABookIsKeptAsItIs(t *testing.T) {
	s := newStore(t)
	added, err := s.Add(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Find(t.Context(), added[0].ID[:8])
	if err != nil {
		t.Fatal(err)
	}
	want := everything
	want.ID, want.AddedAt = added[0].ID, s.now()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the book differs (-want +got):\n%s", diff)
	}
}

// TestEditWritesWhatChanged shows that what another device does to the other columns is not undone.
func TestEditWritesWhatChanged(t *testing.T) {
	s := newStore(t)
	added, err := s.Add(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	queue(t, s.db)
	id := added[0].ID
	for _, change := range []func(*Book){
		func(b *Book) { b.Rating, b.CoAuthors[0], b.CustomMetadata["shelf"] = 4, "Eve", "red" },
		func(b *Book) { b.Subtitle, b.IsFavorite, b.ID = "", false, "another" },
		func(*Book) {},
	} {
		if _, err := s.Edit(t.Context(), id, change); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`2 PATCH books {"co_authors":"[\"Eve\",\"Bob\"]","rating":4,"custom_metadata":"{\"n\":9007199254740993,\"shelf\":\"red\"}"}`,
		`3 PATCH books {"subtitle":null,"is_favorite":0}`,
	}
	if diff := cmp.Diff(want, queue(t, s.db)); diff != "" {
		t.Errorf("the queue differs (-want +got):\n%s", diff)
	}
	if _, err := s.Edit(t.Context(), "nobody's", func(*Book) {}); !errors.Is(err, ErrNotFound) {
		t.Errorf("editing what is not there: %v", err)
	}
}

func TestRemoveIsQueued(t *testing.T) {
	s := newStore(t)
	added, err := s.Add(t.Context(), Book{Title: "One"}, Book{Title: "Two"})
	if err != nil {
		t.Fatal(err)
	}
	queue(t, s.db)
	if err := s.Remove(t.Context(), added[0].ID, "not there"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2 DELETE books "}, queue(t, s.db)); diff != "" {
		t.Errorf("the queue differs (-want +got):\n%s", diff)
	}
}

func TestWhatNoServerKeepsIsRefused(t *testing.T) {
	s := newStore(t)
	nan := 0.0
	for name, b := range map[string]Book{
		"no title": {}, "an id": {Title: "A", ID: "7"}, "a position": {Title: "A", CurrentPosition: nan / nan},
		"a value": {Title: "A", CustomMetadata: map[string]any{"f": func() {}}},
	} {
		if _, err := s.Add(t.Context(), Book{Title: "Good"}, b); err == nil {
			t.Errorf("%s was added", name)
		}
	}
	if snapshot, err := s.Snapshot(t.Context()); err != nil || len(snapshot.Books) > 0 {
		t.Errorf("there is %v, %v: a transaction is kept whole or not at all", snapshot, err)
	}
}

// TestValuesOfOtherDevices shows that what no book can have is read as none.
func TestValuesOfOtherDevices(t *testing.T) {
	var b Book
	for _, c := range columns {
		for _, value := range []any{nil, "{", "\x1b", int64(-1), 1e300, math.Inf(1), math.NaN(), []byte("x")} {
			c.set(&b, value)
			c.get(&b)
			if _, err := json.Marshal(b); err != nil {
				t.Errorf("%s of %v: %v", c.name, value, err)
			}
		}
	}
	if b.AddedAt != (time.Time{}) || b.CoAuthors != nil {
		t.Errorf("got %+v", b)
	}
}

func TestFindByTheBeginningOfAnID(t *testing.T) {
	s := newStore(t)
	ids := []string{"aaaaaaaa-0000-4000-8000-000000000001", "aaaaabaa-0000-4000-8000-000000000002", "bbbbbbbb-0000-4000-8000-000000000003"}
	for i, id := range ids {
		if _, err := s.Add(t.Context(), Book{ID: id, Title: fmt.Sprint("Book ", 3-i)}); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := snapshot.Books[0].ID; got != ids[2] {
		t.Errorf("the first by title is %s", got)
	}
	if diff := cmp.Diff(map[string]string{ids[0]: "aaaaaa", ids[1]: "aaaaab", ids[2]: "bbbb"}, snapshot.ShortIDs()); diff != "" {
		t.Errorf("the short ids differ (-want +got):\n%s", diff)
	}
	for prefix, want := range map[string]error{"AAAAAA": nil, "b": nil, "aaaa": ErrAmbiguous, "c": ErrNotFound, "": ErrNotFound, "%": ErrNotFound} {
		if _, err := s.Find(t.Context(), prefix); !errors.Is(err, want) {
			t.Errorf("Find(%q) = %v, want %v", prefix, err, want)
		}
	}
}

// imported returns books of these origins.
func imported(origins ...string) (books []Book) {
	for _, o := range origins {
		b := Book{Title: "Of " + o}
		b.SetOrigin(o)
		books = append(books, b)
	}
	return books
}

func newImporter(t *testing.T, s *DataStore) *Importer {
	t.Helper()
	i, err := s.Importer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// expectAdded fails unless so many of the books are added.
func expectAdded(t *testing.T, i *Importer, want int, books ...Book) {
	t.Helper()
	if got, err := i.Add(t.Context(), books); err != nil || got != want {
		t.Errorf("Add = %d, %v, want %d", got, err, want)
	}
}

// TestImportSkipsWhatIsThere shows that an import may be repeated, and brings back what was removed.
func TestImportSkipsWhatIsThere(t *testing.T) {
	s := newStore(t)
	i := newImporter(t, s)
	expectAdded(t, i, 2, imported("a", "b", "a")...)
	expectAdded(t, newImporter(t, s), 1, imported("a", "b", "c")...)
	expectAdded(t, i, 0, imported("a", "c")...)
	expectAdded(t, i, 2, Book{Title: "Of nothing"}, Book{Title: "Of nothing"})

	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	removed := snapshot.Books[0]
	if err := s.Remove(t.Context(), removed.ID); err != nil {
		t.Fatal(err)
	}
	expectAdded(t, i, 1, imported(removed.Origin())...)
	snapshot, err = s.Snapshot(t.Context())
	if err != nil || len(snapshot.Books) != 5 || snapshot.Books[0].Title != removed.Title || snapshot.Books[0].ID == removed.ID {
		t.Errorf("there is %+v, %v", snapshot.Books, err)
	}
}

// TestImportersOfTwoProcesses shows that what one has added, and what it could not, is known to the other, and to itself.
func TestImportersOfTwoProcesses(t *testing.T) {
	s := newStore(t)
	db, err := powersync.Open(t.Context(), pathOf(t, s.db), Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	one, other := newImporter(t, s), newImporter(t, &DataStore{db: db, now: time.Now})
	expectAdded(t, one, 1, imported("a")...)
	if n, err := one.Add(t.Context(), append(imported("b"), Book{})); err == nil || n != 0 {
		t.Errorf("adding a book without a title: %d, %v", n, err)
	}
	expectAdded(t, other, 1, imported("a", "b")...)
	expectAdded(t, one, 1, imported("a", "b", "c")...)
}

// TestImportReadsOriginsOnce shows that the work of an import does not grow with what it has added.
func TestImportReadsOriginsOnce(t *testing.T) {
	s := newStore(t)
	i := newImporter(t, s)
	expectAdded(t, i, 1, imported("a")...)
	i.origins["b"] = true // is forgotten as they are read
	expectAdded(t, i, 0, imported("b")...)
	if _, err := s.Add(t.Context(), Book{Title: "By somebody else"}); err != nil {
		t.Fatal(err)
	}
	expectAdded(t, i, 1, imported("b")...)
}

// TestChangesOfAnotherProcess shows that a snapshot comes for what somebody else does to the file, and none is of a half.
func TestChangesOfAnotherProcess(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes := s.Changes(ctx)
	if first := <-changes; len(first.Books) != 0 {
		t.Errorf("the first snapshot has %d books", len(first.Books))
	}
	path := pathOf(t, s.db)
	other, err := powersync.Open(ctx, path, Schema())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if _, err := (&DataStore{db: other, now: time.Now}).Add(ctx, Book{Title: "One"}, Book{Title: "Two"}); err != nil {
		t.Fatal(err)
	}
	titles := []string{}
	for _, b := range (<-changes).Books {
		titles = append(titles, b.Title)
	}
	if strings.Join(titles, " ") != "One Two" {
		t.Errorf("the second snapshot has %v", titles)
	}
	cancel()
	for range changes {
	}
}

func TestSchemaHasAllColumnsOfABook(t *testing.T) {
	b := everything
	b.AddedAt, b.UpdatedAt = time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	var got Book
	for _, c := range columns {
		c.set(&got, c.get(&b))
	}
	if diff := cmp.Diff(b, got, cmpopts.IgnoreFields(Book{}, "ID")); diff != "" {
		t.Errorf("a field is lost (-want +got):\n%s", diff)
	}
}

// pathOf returns where a database is.
func pathOf(t *testing.T, db *powersync.DB) string {
	t.Helper()
	var path string
	err := db.Read(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestChangesEndWhereTheLibraryCannotBeRead shows that nobody waits for ever, and that a reader is told why.
func TestChangesEndWhereTheLibraryCannotBeRead(t *testing.T) {
	s := newStore(t)
	if _, err := s.Add(t.Context(), Book{Title: "One"}); err != nil {
		t.Fatal(err)
	}
	changes := s.Changes(t.Context())
	<-changes
	err := s.db.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM books`); err != nil {
			return err
		}
		_, err := tx.Exec(`DROP VIEW books`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range changes { // ends
	}
	if _, err := s.Snapshot(t.Context()); err == nil {
		t.Error("it can be read")
	}
}

func TestTimesOfOtherDevices(t *testing.T) {
	s := newStore(t)
	id := "aaaaaaaa-0000-4000-8000-000000000001"
	if _, err := s.Add(t.Context(), Book{ID: id, Title: "One"}); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]time.Time{
		"2026-01-02T03:04:05+24:00": time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC),
		"9999-12-31T23:59:59-01:00": {}, "0000-01-01T00:00:00+01:00": {}, "soon": {},
	} {
		err := s.db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE books SET added_at = ?`, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Find(t.Context(), id)
		if err != nil || !b.AddedAt.Equal(want) {
			t.Errorf("%s is read as %v, %v", text, b.AddedAt, err)
		}
		if _, err := json.Marshal(b); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := s.Add(t.Context(), Book{Title: "One", AddedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Error("a time that no server keeps was taken")
	}
}
