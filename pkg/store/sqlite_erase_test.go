package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/store"
)

func TestSQLiteFileForgetsWhatIsErased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	db := open(t, store.Config{Engine: store.SQLite, Path: path})
	u := account.User{ID: uuid.NewString(), Email: "long-gone@example.com", DisplayName: "gone", Plan: "new", CreatedAt: time.Now().UTC()}
	preferences := bytes.Repeat([]byte(`long-gone@example.com `), 700) // more than a page
	if err := db.CreateUser(t.Context(), account.Addition{User: u, PasswordHash: "hash"}); err != nil {
		t.Fatal(err)
	}
	if err := db.SetPreferences(t.Context(), u.ID, preferences); err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteUser(t.Context(), u.ID, audit.Entry{At: time.Now().UTC(), Kind: audit.Deleted}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil { // takes the write-ahead log in
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(file, []byte(u.Email)); n != 0 {
		t.Errorf("the file still has the address %d times", n)
	}
}
