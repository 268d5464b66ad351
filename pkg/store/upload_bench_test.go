package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/store"
)

// BenchmarkUpload reports what an upload of new rows costs as a multiple of the same rows in a bare loop, one prepared INSERT a row in
// one transaction: the median of rounds that take turns. An upload also looks for the rows, and writes an operation for each.
func BenchmarkUpload(b *testing.B) {
	for name, config := range engines {
		for _, size := range []int{1, 100, 1000} {
			b.Run(fmt.Sprint(name, "/", size), func(b *testing.B) {
				c := config(b)
				db := open(b, c)
				in, bare := newIntake(b, db), newBareTable(b, c)
				var ratios []float64
				var took time.Duration
				for b.Loop() {
					rows := newRows(size)
					start := time.Now()
					bare.insert(b, in.UserID, rows)
					alone := time.Since(start)
					start = time.Now()
					mustUpload(b, db, in, rows)
					took += time.Since(start)
					ratios = append(ratios, float64(time.Since(start))/float64(alone))
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "x-bare")
				b.ReportMetric(float64(size*b.N)/took.Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkUploadOfMany is one upload of as many rows as 64 MiB hold small ones.
func BenchmarkUploadOfMany(b *testing.B) {
	for name, config := range engines {
		b.Run(name, func(b *testing.B) {
			db := open(b, config(b))
			in, rows := newIntake(b, db), newRows(100_000)
			for b.Loop() {
				mustUpload(b, db, in, rows)
			}
		})
	}
}

// newRows returns changes of new rows with a value in most columns.
func newRows(n int) []library.Change {
	rows := make([]library.Change, n)
	for i := range rows {
		row := bareBook()
		for j, c := range library.Books.Columns {
			if c.Kind == library.Text {
				row[j] = c.Name + " of a book"
			}
		}
		rows[i] = library.Change{Ref: library.Ref{Table: library.Books, ID: uuid.NewString()}, Row: row}
	}
	return rows
}

func mustUpload(b *testing.B, db *store.DB, in library.Intake, rows []library.Change) {
	b.Helper()
	for _, r := range rows {
		in.Refs = append(in.Refs, r.Ref)
	}
	if _, err := rand.Read(in.Digest[:]); err != nil {
		b.Fatal(err)
	}
	_, err := db.Upload(b.Context(), in, func([]library.State) (library.Decision, error) {
		return library.Decision{Answer: []byte(`{"applied_count":1}`), Change: making(rows...)}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// bareTable is a table like books, and its driver.
type bareTable struct {
	*sql.DB
	statement *sql.Stmt
}

func newBareTable(b *testing.B, c store.Config) bareTable {
	b.Helper()
	raw := openRaw(b, c)
	raw.SetMaxOpenConns(1)
	create := `CREATE TABLE bare (LIKE books INCLUDING ALL)`
	if c.Engine == store.SQLite {
		if err := raw.QueryRowContext(b.Context(), `SELECT sql FROM sqlite_schema WHERE name = 'books'`).Scan(&create); err != nil {
			b.Fatal(err)
		}
		create = strings.Replace(create, "books", "bare", 1) + `; CREATE INDEX bare_owner_idx ON bare (owner_user_id, book_id)`
	}
	if _, err := raw.ExecContext(b.Context(), create); err != nil {
		b.Fatal(err)
	}

	columns, arguments := []string{"book_id", "owner_user_id"}, []string{"$1", "$2"}
	for i, column := range library.Books.Columns {
		argument := fmt.Sprintf("$%d", i+3)
		if column.Kind == library.Boolean && c.Engine == store.Postgres {
			argument += "::integer::boolean"
		}
		columns, arguments = append(columns, column.Name), append(arguments, argument)
	}
	insert := fmt.Sprintf(`INSERT INTO bare (%s) VALUES (%s)`, strings.Join(columns, ", "), strings.Join(arguments, ", "))
	statement, err := raw.PrepareContext(context.WithoutCancel(b.Context()), insert)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = statement.Close() })
	return bareTable{raw, statement}
}

func (t bareTable) insert(b *testing.B, userID string, rows []library.Change) {
	b.Helper()
	tx, err := t.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()                  // does nothing after a commit
	statement := tx.StmtContext(b.Context(), t.statement) //nolint:sqlclosecheck // it ends with the transaction
	for _, r := range rows {
		if _, err := statement.ExecContext(b.Context(), append([]any{r.ID, userID}, r.Row...)...); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}
