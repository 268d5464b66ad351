package powersync_test

import (
	"testing"

	"github.com/provisioner/provisioner/test/powersync"
)

// TestDevicesOffline writes and reads where there is no server.
func TestDevicesOffline(t *testing.T) {
	o := powersync.Options{Backend: "http://127.0.0.1:1", Checkpoints: "legacy"}
	offline := func(t *testing.T, d *powersync.Device) {
		t.Helper()
		d.Execute(powersync.Statement{"INSERT INTO books (id, title, rating) VALUES (?, ?, ?)", "a", "Emma", 5}, powersync.Statement{"UPDATE books SET rating = 4"})
		d.Await([]map[string]any{{"n": 2}}, "SELECT count(*) AS n FROM ps_crud")
		var rows []struct {
			ID, Title string
			Rating    int
		}
		d.Query(&rows, "SELECT id, title, rating FROM books")
		if len(rows) != 1 || rows[0].ID != "a" || rows[0].Title != "Emma" || rows[0].Rating != 4 {
			t.Errorf("the books are %v", rows)
		}
		d.Connect("no token", "none")
		r := d.Report()
		if r.Connects != 0 || len(r.Errors) == 0 {
			t.Errorf("connected to nobody: %+v", r)
		}
		d.SignOut()
		d.Query(&rows, "SELECT id, title, rating FROM books")
		if len(rows) != 0 {
			t.Errorf("books after the sign-out: %v", rows)
		}
		d.Close()
	}
	t.Run("in Node", func(t *testing.T) { offline(t, powersync.Start(t).NewDevice("laptop", o)) })
	t.Run("in a browser", func(t *testing.T) { offline(t, powersync.ServeWeb(t).NewDevice("tab", o)) })
}
