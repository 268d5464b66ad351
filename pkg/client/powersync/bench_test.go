package powersync_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// BenchmarkFirstSync downloads 20,000 books of a real server.
func BenchmarkFirstSync(b *testing.B) {
	papyrus := program.Start(b, "all", nil).URL("papyrus")
	owner := register(b, papyrus)
	const books = 20_000
	for n := 0; n < books; n += 1000 {
		var batch []byte
		for i := range 1000 {
			if i > 0 {
				batch = append(batch, ',')
			}
			batch = fmt.Appendf(batch, `{"op_id":%d,"op":"PUT","type":"books","id":"%s","tx_id":%d,"data":{"title":"Book %d","author":"Jane Austen","description":"%0400d","page_count":%d}}`, n+i, uuid.NewString(), n, n+i, i, i)
		}
		if _, err := owner.post(b.Context(), "/v1/sync/powersync-upload", []byte(`{"batch":[`+string(batch)+`]}`)); err != nil {
			b.Fatal(err)
		}
	}
	for name, options := range map[string][]powersync.Option{
		"BSON":  {powersync.WithContentChecksums()},
		"lines": {powersync.WithContentChecksums(), powersync.WithLines()},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				db, err := powersync.Open(b.Context(), b.TempDir()+"/test.db", schema, options...)
				if err != nil {
					b.Fatal(err)
				}
				db.Connect(owner)
				synced(b, db)
				var n int
				err = db.Read(b.Context(), func(tx *sql.Tx) error { return tx.QueryRow(`SELECT count(*) FROM books`).Scan(&n) })
				if err != nil || n != books {
					b.Fatalf("%d books, %v; %+v", n, err, db.Status())
				}
				_ = db.Close()
			}
		})
	}
}
