package powersync_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// An app writes to its tables by plain SQL. What it did waits for a connector to upload it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := powersync.Open(ctx, filepath.Join(dir, "app.db"), powersync.Schema{
		{Name: "books", Columns: []powersync.Column{{Name: "title", Type: powersync.Text}, {Name: "rating", Type: powersync.Integer}}},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()

	err = db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO books (id, title, rating) VALUES (?, ?, ?)`, "b1", "Emma", 5)
		return err
	})
	if err != nil {
		panic(err)
	}
	next, _, err := db.NextTransaction(ctx)
	fmt.Println(next.Mutations[0].Kind, string(next.Mutations[0].Data), err)
	// Output: PUT {"title":"Emma","rating":5} <nil>
}
