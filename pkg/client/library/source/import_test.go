package source_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/library/source"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

// newGuest returns the store of a guest.
func newGuest(t *testing.T) *library.DataStore {
	t.Helper()
	dir := t.TempDir()
	cfg := papyrus.Config{APIBaseURL: "http://127.0.0.1:9"} // discards, and is not asked
	tokens, err := papyrus.NewDeviceStore(dir, cfg.APIBaseURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := papyrus.NewAuthRepository(cfg, tokens)
	if err != nil {
		t.Fatal(err)
	}
	service := library.Open(dir, repository)
	t.Cleanup(func() { _ = service.Close() })
	if err := service.Apply(t.Context(), papyrus.State{Status: papyrus.StatusOfflineMode}); err != nil {
		t.Fatal(err)
	}
	store, err := service.Store()
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// importTable imports a CSV file, until stop is true of a find.
func importTable(t *testing.T, store *library.DataStore, content string, stop func(source.Find) bool) (source.Tally, error) {
	t.Helper()
	src, err := source.Open(newTable(t, content))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return src.Import(ctx, store, func(f source.Find, _ source.Fate) {
		if stop(f) {
			cancel()
		}
	})
}

func TestAnInterruptedImportGoesOn(t *testing.T) {
	var table strings.Builder
	table.WriteString("title,author\n")
	for i := range 350 {
		fmt.Fprintf(&table, "Book %d,A\n", i)
	}
	table.WriteString(",no title\nBook 7,A\n") // which is there twice
	store := newGuest(t)

	tally, err := importTable(t, store, table.String(), func(f source.Find) bool { return f.Book.Title == "Book 249" })
	if !errors.Is(err, context.Canceled) || tally != (source.Tally{Added: 250}) {
		t.Errorf("the interrupted one: %+v, %v", tally, err)
	}
	for _, want := range []source.Tally{{Added: 100, There: 251, Failed: 1}, {There: 351, Failed: 1}} {
		tally, err := importTable(t, store, table.String(), func(source.Find) bool { return false })
		if err != nil || tally != want {
			t.Errorf("the next one: %+v, %v; want %+v", tally, err, want)
		}
	}
	snapshot, err := store.Snapshot(t.Context())
	if err != nil || len(snapshot.Books) != 350 {
		t.Fatalf("there are %d books, %v", len(snapshot.Books), err)
	}
	if b := snapshot.Books[0]; !strings.HasPrefix(b.Origin(), "sha256:") || b.ReadingStatus != library.NotStarted {
		t.Errorf("the first one is %+v", b)
	}
}

// TestLargeBooksAreOfSeveralTransactions shows that books which are good one by one are no upload that servers refuse.
func TestLargeBooksAreOfSeveralTransactions(t *testing.T) {
	var table strings.Builder
	table.WriteString("title,description\n")
	for i := range 10 {
		fmt.Fprintf(&table, "Book %d,%s\n", i, strings.Repeat("x", 1<<20))
	}
	store := newGuest(t)
	kept := 0
	tally, err := importTable(t, store, table.String(), func(source.Find) bool {
		snapshot, err := store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept = len(snapshot.Books)
		return false
	})
	if want := (source.Tally{Added: 10}); err != nil || tally != want || kept != 8 {
		t.Errorf("%+v, %v, and %d were kept as the last one came; want %+v and 8", tally, err, kept, want)
	}
}
