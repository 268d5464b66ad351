package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/mail"
)

// TestMailThatWaitsCostsACommit would fail if the time of an answer told whether mail to an address is under way, and with that
// whether there is an account for it. SQLite writes nothing for an update that leaves every index and value as it is.
func TestMailThatWaitsCostsACommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	var dbs [2]*DB
	for i := range dbs {
		db, err := Open(t.Context(), Config{Engine: SQLite, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		dbs[i] = db
	}
	now := time.Now().UTC()
	for i := range 3 {
		before, err := dbs[1].dataVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		job := mail.Job{ID: uuid.NewString(), Kind: mail.KindResetPassword, Email: "reader@example.com", CreatedAt: now, NextTryAt: now}
		if err := dbs[0].EnqueueMail(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		after, err := dbs[1].dataVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if before == after {
			t.Errorf("mail %d to the address wrote nothing", i+1)
		}
	}
}
