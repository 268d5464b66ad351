package library

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// What callers decide by, with [errors.Is].
var (
	// ErrNotFound is the error of an id that no book has.
	ErrNotFound = errors.New("no such book")
	// ErrAmbiguous is the error of the beginning of an id that several books have.
	ErrAmbiguous = errors.New("several books")
	// ErrNotYours is the error of a store whose user is no longer the one whose library this device holds.
	ErrNotYours = errors.New("the library on this device is no longer that user's")
)

// DataStore is the books of one database. It keeps nothing in memory: each call reads or writes the file, which other processes may too.
// It is safe for concurrent use.
type DataStore struct {
	db    *powersync.DB
	owner string // the user's id, "" of a guest
	now   func() time.Time
}

// Snapshot is the library at one moment.
type Snapshot struct {
	Books []Book // by title, and those of one title by id
}

// Snapshot reads the library as it is now.
func (s *DataStore) Snapshot(ctx context.Context) (Snapshot, error) {
	var snapshot Snapshot
	err := s.read(ctx, func(tx *sql.Tx) (err error) {
		snapshot.Books, err = query(ctx, tx, "")
		return err
	})
	slices.SortFunc(snapshot.Books, func(a, b Book) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)), strings.Compare(a.ID, b.ID))
	})
	return snapshot, err
}

// Count returns how many books there are.
func (s *DataStore) Count(ctx context.Context) (n int, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM books`).Scan(&n)
	})
	return n, err
}

// Changes returns a channel that is sent the library at once, and after each change of it by anybody; who receives late gets the latest.
// It is closed when ctx ends, and when the library is no longer this user's or cannot be read: Snapshot says why.
func (s *DataStore) Changes(ctx context.Context) <-chan Snapshot {
	snapshots := make(chan Snapshot)
	ctx, cancel := context.WithCancel(ctx)
	changes := s.db.Changes(ctx, "books", owner.Name)
	go func() {
		defer close(snapshots)
		defer cancel()
		for range changes {
			snapshot, err := s.Snapshot(ctx)
			if err != nil {
				return
			}
			select {
			case snapshots <- snapshot:
			case <-ctx.Done():
				return
			}
		}
	}()
	return snapshots
}

// shortest is how many characters of an id are shown at least.
const shortest = 4

// ShortIDs returns for each book as much of its id as tells it from the others, at least 4 characters.
func (s Snapshot) ShortIDs() map[string]string {
	ids := make([]string, len(s.Books))
	for i, b := range s.Books {
		ids[i] = b.ID
	}
	slices.Sort(ids)
	short := make(map[string]string, len(ids))
	for i, id := range ids {
		n := shortest
		if i > 0 {
			n = max(n, shared(id, ids[i-1])+1)
		}
		if i+1 < len(ids) {
			n = max(n, shared(id, ids[i+1])+1)
		}
		short[id] = id[:min(n, len(id))]
	}
	return short
}

// shared is the length of what two texts both begin with.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Find returns the book whose id begins with prefix. The error is [ErrNotFound] or [ErrAmbiguous] where that is not one book.
func (s *DataStore) Find(ctx context.Context, prefix string) (Book, error) {
	var found []Book
	err := s.read(ctx, func(tx *sql.Tx) (err error) {
		found, err = query(ctx, tx, `WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2`, strings.ToLower(prefix))
		return err
	})
	switch {
	case err != nil:
		return Book{}, err
	case len(found) == 0 || prefix == "":
		return Book{}, fmt.Errorf("%q: %w", prefix, ErrNotFound)
	case len(found) > 1:
		return Book{}, fmt.Errorf("%q: %w have ids that begin so", prefix, ErrAmbiguous)
	}
	return found[0], nil
}

// Add adds books, all in one transaction, and returns them with what they were given: an id, and the time.
func (s *DataStore) Add(ctx context.Context, books ...Book) ([]Book, error) {
	added := slices.Clone(books)
	err := s.write(ctx, func(tx *sql.Tx) error {
		statement, err := tx.PrepareContext(ctx, insertBook)
		if err != nil {
			return err
		}
		for i := range added {
			if err := s.insert(ctx, statement, &added[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return added, err
}

// insertBook has a value for every column, so that it is one statement for all books: compiling it takes longer than running it.
var insertBook = func() string {
	names := []string{"id"}
	for _, c := range columns {
		names = append(names, c.name)
	}
	return `INSERT INTO books (` + strings.Join(names, ", ") + `) VALUES (?` + strings.Repeat(", ?", len(columns)) + `)`
}()

// insert adds a book, which it gives an id and the time unless it has them, by the statement [insertBook].
func (s *DataStore) insert(ctx context.Context, statement *sql.Stmt, b *Book) error {
	if b.ID == "" {
		b.ID = uuid.NewString()
	}
	if b.AddedAt.IsZero() {
		b.AddedAt = s.now().UTC().Truncate(time.Microsecond)
	}
	if err := b.check(); err != nil {
		return err
	}
	values := []any{b.ID}
	for _, c := range columns {
		values = append(values, c.get(b))
	}
	_, err := statement.ExecContext(ctx, values...)
	return err
}

// Edit has change edit the book of an id, and writes the columns that are another then: what other devices do to the rest stays. It
// returns the book as it is now.
func (s *DataStore) Edit(ctx context.Context, id string, change func(*Book)) (Book, error) {
	var b Book
	err := s.write(ctx, func(tx *sql.Tx) error {
		found, err := query(ctx, tx, `WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%q: %w", id, ErrNotFound)
		}
		b = found[0]
		b.CoAuthors, b.CustomMetadata = slices.Clone(b.CoAuthors), maps.Clone(b.CustomMetadata)
		change(&b)
		b.ID = id
		if err := b.check(); err != nil {
			return err
		}
		return update(ctx, tx, &found[0], &b)
	})
	return b, err
}

func update(ctx context.Context, tx *sql.Tx, old, b *Book) error {
	var set []string
	var values []any
	for _, c := range columns {
		if v := c.get(b); v != c.get(old) {
			set, values = append(set, c.name+" = ?"), append(values, v)
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE books SET `+strings.Join(set, ", ")+` WHERE id = ?`, append(values, b.ID)...) //nolint:gosec // G202: the names are constants
	return err
}

// Remove removes books, all in one transaction. One that is not there is no error: another device may have been first.
func (s *DataStore) Remove(ctx context.Context, ids ...string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `DELETE FROM books WHERE id = ?`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// read runs work on one state of the database, if it is the user's.
func (s *DataStore) read(ctx context.Context, work func(tx *sql.Tx) error) error {
	return s.db.Read(ctx, func(tx *sql.Tx) error {
		if err := s.checkOwner(ctx, tx); err != nil {
			return err
		}
		return work(tx)
	})
}

func (s *DataStore) write(ctx context.Context, work func(tx *sql.Tx) error) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.checkOwner(ctx, tx); err != nil {
			return err
		}
		return work(tx)
	})
	if errors.Is(err, powersync.ErrCleared) {
		return ErrNotYours
	}
	return err
}

func (s *DataStore) checkOwner(ctx context.Context, tx *sql.Tx) error {
	is, err := ownerOf(ctx, tx)
	if err == nil && is != s.owner {
		return ErrNotYours
	}
	return err
}

// ownerOf returns whose database it is, "" where that was not set.
func ownerOf(ctx context.Context, tx *sql.Tx) (string, error) {
	var id sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT max(user_id) FROM owner`).Scan(&id)
	return id.String, err
}

// query returns the books of a condition.
func query(ctx context.Context, tx *sql.Tx, condition string, args ...any) ([]Book, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, `+strings.Join(names, ", ")+` FROM books `+condition, args...) //nolint:gosec // G202: the names are constants
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var books []Book
	values := make([]any, len(columns))
	for rows.Next() {
		var b Book
		into := []any{&b.ID}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for i, c := range columns {
			c.set(&b, values[i])
		}
		books = append(books, b)
	}
	return books, rows.Err()
}

// check returns an error for what no server keeps.
func (b *Book) check() error {
	switch {
	case strings.TrimSpace(b.Title) == "":
		return errors.New("a book needs a title")
	case uuid.Validate(b.ID) != nil || len(b.ID) != len(uuid.Nil.String()):
		return fmt.Errorf("the id %q is no UUID", b.ID)
	case !isFinite(b.CurrentPosition):
		return errors.New("a position is a number")
	case !b.AddedAt.IsZero() && !isYear(b.AddedAt):
		return errors.New("a time has a year of 1 to 9999")
	}
	return checkJSON(b.CustomMetadata)
}
