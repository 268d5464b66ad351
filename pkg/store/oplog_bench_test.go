package store_test

import (
	"database/sql"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/library"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

// BenchmarkOps reads a bucket of 20,000 operations page by page, and beside it the same rows with the bare driver and one query. What
// counts is the ratio of their times.
func BenchmarkOps(b *testing.B) {
	const rows = 20_000
	for name, config := range engines {
		b.Run(name, func(b *testing.B) {
			c := config(b)
			db := open(b, c)
			userID := newLibrary(b, db, rows)
			raw := openRaw(b, c)
			var paged, bare time.Duration
			for b.Loop() {
				start := time.Now()
				if n := readPages(b, db, userID); n != rows {
					b.Fatalf("%d operations", n)
				}
				paged += time.Since(start)

				start = time.Now()
				if n := readBare(b, raw); n != rows {
					b.Fatalf("%d rows", n)
				}
				bare += time.Since(start)
			}
			b.ReportMetric(float64(rows*b.N)/paged.Seconds(), "rows/s")
			b.ReportMetric(paged.Seconds()/bare.Seconds(), "×bare")
		})
	}
}

func readPages(b *testing.B, db *store.DB, userID string) (n int) {
	b.Helper()
	page := syncstream.Page{UserID: userID, Stream: library.Books.Stream(), UpTo: math.MaxInt64, Ops: 1000, Bytes: 1 << 20}
	for {
		ops, err := db.Ops(b.Context(), page)
		if err != nil {
			b.Fatal(err)
		}
		if len(ops) == 0 {
			return n
		}
		n += len(ops)
		page.After = ops[len(ops)-1].ID
	}
}

func readBare(b *testing.B, raw *sql.DB) (n int) {
	b.Helper()
	rows, err := raw.QueryContext(b.Context(), `SELECT op_id, kind, table_name, object_id, checksum, data FROM sync_ops
		WHERE bucket_id = 1 AND op_id > 0 ORDER BY op_id`)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for ; rows.Next(); n++ {
		var op syncstream.Op
		if err := rows.Scan(&op.ID, &op.Kind, &op.Table, &op.ObjectID, &op.Checksum, &op.Data); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return n
}

// newLibrary returns the id of a user with books.
func newLibrary(b *testing.B, db *store.DB, books int) (userID string) {
	b.Helper()
	userID = newAccount(b, db)
	s := session.Session{
		ID: uuid.NewString(), UserID: userID, ClientType: "web",
		CreatedAt: time.Now(), LastSeenAt: time.Now(), ExpiresAt: time.Now(), EndsAt: time.Now(),
	}
	if err := db.SignIn(b.Context(), s, account.Proof{}, audit.New(b.Context(), time.Now(), audit.SignedIn, userID)); err != nil {
		b.Fatal(err)
	}
	in := library.Intake{UserID: userID, SessionID: s.ID, At: time.Now()}
	var changes []library.Change
	for i := range books {
		r := make(library.Row, len(library.Books.Columns))
		for j, c := range library.Books.Columns {
			r[j] = c.Default
			if c.Kind == library.Text {
				r[j] = fmt.Sprint(c.Name, " of book ", i)
			}
			if c.Kind == library.Time {
				r[j] = "2026-11-21T10:30:00.123456Z"
			}
		}
		ref := library.Ref{Table: library.Books, ID: uuid.NewString()}
		in.Refs, changes = append(in.Refs, ref), append(changes, library.Change{Ref: ref, Row: r})
	}
	if _, err := db.Upload(b.Context(), in, func([]library.State) (library.Decision, error) {
		return library.Decision{Answer: []byte("{}"), Change: making(changes...)}, nil
	}); err != nil {
		b.Fatal(err)
	}
	return userID
}
