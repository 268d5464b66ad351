package library

import (
	"context"
	"database/sql"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// Importer adds books of which each has an origin, those alone that are not there: it knows an import by what it took. It is not safe for
// concurrent use; several, also of other processes, may import into one library.
type Importer struct {
	store   *DataStore
	origins map[string]bool // of the books that are there
	count   int64           // of changes of the books, up to which the origins are known
}

// unknown is the count while no origins are known.
const unknown = -1

// Importer returns one that knows the books that are there.
func (s *DataStore) Importer(ctx context.Context) (*Importer, error) {
	i := &Importer{store: s, count: unknown}
	return i, s.read(ctx, func(tx *sql.Tx) error { return i.look(ctx, tx) })
}

// Has reports whether a book of an origin was there as it was last looked, on whichever device it was imported.
func (i *Importer) Has(origin string) bool { return origin != "" && i.origins[origin] }

// Add adds, in one transaction, those books whose origin no book that is there has, and returns how many they are. A book that was removed
// is added again, under another id: that of a removed book stays removed for ever.
func (i *Importer) Add(ctx context.Context, books []Book) (added int, err error) {
	err = i.store.write(ctx, func(tx *sql.Tx) error {
		if err := i.look(ctx, tx); err != nil {
			return err
		}
		added, err = i.add(ctx, tx, books)
		return err
	})
	if err != nil {
		i.count = unknown
		return 0, err
	}
	return added, nil
}

func (i *Importer) add(ctx context.Context, tx *sql.Tx, books []Book) (added int, err error) {
	statement, err := tx.PrepareContext(ctx, insertBook)
	if err != nil {
		return 0, err
	}
	for _, b := range books {
		origin := b.Origin()
		if i.Has(origin) {
			continue
		}
		if err := i.store.insert(ctx, statement, &b); err != nil {
			return 0, err
		}
		i.origins[origin] = true
		added++
	}
	i.count, err = powersync.ChangeCount(ctx, tx, "books")
	return added, err
}

// look reads the origins of all books that were imported, unless it has and nobody has changed a book since.
func (i *Importer) look(ctx context.Context, tx *sql.Tx) error {
	count, err := powersync.ChangeCount(ctx, tx, "books")
	if err != nil || count == i.count {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT custom_metadata ->> '$.`+originKey+`' FROM books WHERE json_valid(custom_metadata)`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	origins := map[string]bool{}
	for rows.Next() {
		var origin sql.NullString
		if err := rows.Scan(&origin); err != nil {
			return err
		}
		origins[origin.String] = true
	}
	i.origins, i.count = origins, count
	return rows.Err()
}
