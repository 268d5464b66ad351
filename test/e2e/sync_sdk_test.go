package e2e_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/test/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// TestSyncSDK is the life of two users' devices in PowerSync's own SDK, in each encoding of the stream and each mode of write
// checkpoints.
func TestSyncSDK(t *testing.T) {
	p := start(t, "all", nil)
	papyrus := p.URL("papyrus")
	node := powersync.Start(t)
	for _, tt := range []struct {
		name, contentType string
		options           powersync.Options
	}{
		{"lines, legacy checkpoints", ndjsonType, powersync.Options{Encoding: "ndjson", Checkpoints: "legacy"}},
		{"lines, requested checkpoints", ndjsonType, powersync.Options{Encoding: "ndjson", Checkpoints: "requests"}},
		{"BSON, legacy checkpoints", bsonType, powersync.Options{Encoding: "bson", Checkpoints: "legacy"}},
		{"BSON, requested checkpoints", bsonType, powersync.Options{Encoding: "bson", Checkpoints: "requests"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.Backend = papyrus
			open := func(name string) *powersync.Device { return node.NewDevice(name+" with "+tt.name, tt.options) }
			for name, device := range liveWithDevices(t, papyrus, open) {
				r := device.Report()
				if diff := cmp.Diff([]string{tt.contentType}, keys(r.Streams)); diff != "" {
					t.Errorf("the streams of the %s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

const (
	ndjsonType = "application/x-ndjson"
	bsonType   = "application/vnd.powersync.bson-stream"
)

// TestSyncSDKInBrowser is the same in a browser, from an origin of its own.
func TestSyncSDKInBrowser(t *testing.T) {
	web := powersync.ServeWeb(t)
	papyrus := start(t, "all", program.Settings{"CORS_ORIGINS": `["` + web.Origin + `"]`}).URL("papyrus")
	for _, checkpoints := range []string{"legacy", "requests"} {
		t.Run(checkpoints+" checkpoints", func(t *testing.T) {
			liveWithDevices(t, papyrus, func(name string) *powersync.Device {
				return web.NewDevice(name, powersync.Options{Backend: papyrus, Checkpoints: checkpoints})
			})
		})
	}
}

// liveWithDevices plays a user with two devices, and then another who takes over one of them. It returns the devices.
func liveWithDevices(t *testing.T, papyrus string, open func(name string) *powersync.Device) map[string]*powersync.Device {
	t.Helper()
	owner := register(t, papyrus)
	phone, tablet := open("phone"), open("tablet")
	connect(phone, owner)
	emma, persuasion := uuid.NewString(), uuid.NewString()
	phone.Execute(
		powersync.Statement{"INSERT INTO books (id, title, author) VALUES (?, 'Emma', 'Austen')", emma},
		powersync.Statement{"INSERT INTO books (id, title, author, page_count) VALUES (?, '', 'Austen', 'many')", persuasion},
	)
	shelve(phone, "Emma by Austen", "Untitled Book by Austen") // as the server has it
	connect(tablet, owner.elsewhere(papyrus))
	shelve(tablet, "Emma by Austen", "Untitled Book by Austen")
	write(tablet, "UPDATE books SET title = 'Persuasion' WHERE id = ?", persuasion)
	shelve(phone, "Emma by Austen", "Persuasion by Austen")

	tablet.Disconnect()
	write(tablet, "UPDATE books SET author = 'Jane Austen' WHERE id = ?", emma)
	write(tablet, "INSERT INTO books (id, title, author) VALUES (?, 'Lady Susan', 'Austen')", uuid.NewString())
	write(tablet, "UPDATE books SET rating = 5 WHERE id = ?", persuasion)
	write(phone, "UPDATE books SET author = 'Miss Austen', title = 'Emma Woodhouse' WHERE id = ?", emma)
	write(phone, "DELETE FROM books WHERE id = ?", persuasion)
	phone.AwaitUploaded()
	shelve(phone, "Emma Woodhouse by Miss Austen")
	connect(tablet, owner.elsewhere(papyrus))
	for _, device := range []*powersync.Device{phone, tablet} { // the last write of a column wins, and a delete wins always
		shelve(device, "Emma Woodhouse by Jane Austen", "Lady Susan by Austen")
	}

	phone.SignOut()
	shelve(phone)
	other := register(t, papyrus)
	connect(phone, other)
	write(phone, "INSERT INTO books (id) VALUES (?)", uuid.NewString())
	shelve(phone, "Untitled Book by nobody") // has synced, and sees nothing of the first user
	shelve(tablet, "Emma Woodhouse by Jane Austen", "Lady Susan by Austen")

	devices := map[string]*powersync.Device{"phone": phone, "tablet": tablet}
	for name, device := range devices {
		r := device.Report()
		if r.Refreshes != 0 || len(r.Errors) > 0 || len(r.Uploads) != 1 || r.Uploads["200"] == 0 {
			t.Errorf("the %s has lived through %+v", name, r)
		}
		device.Disconnect()
	}
	return devices
}

// connect signs a device in as the reader.
func connect(d *powersync.Device, r *reader) { d.Connect(r.accessToken, r.refreshToken) }

// write runs one statement in a transaction of its own.
func write(d *powersync.Device, sql string, args ...any) {
	d.Execute(append(powersync.Statement{sql}, args...))
}

// shelve returns when a device shows these books, in the order of their titles.
func shelve(d *powersync.Device, books ...string) {
	rows := []map[string]string{}
	for _, book := range books {
		rows = append(rows, map[string]string{"book": book})
	}
	d.Await(rows, "SELECT title || ' by ' || coalesce(author, 'nobody') AS book FROM books ORDER BY title")
}

// keys returns the keys of a map, sorted.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// TestSyncSDKRefreshes connects a device whose access token is no longer good: its connector gets others by the refresh token.
func TestSyncSDKRefreshes(t *testing.T) {
	papyrus := start(t, "all", nil).URL("papyrus")
	owner := register(t, papyrus)
	phone := powersync.Start(t).NewDevice("phone", powersync.Options{Backend: papyrus, Checkpoints: "legacy"})
	phone.Connect("expired", owner.refreshToken)
	write(phone, "INSERT INTO books (id) VALUES (?)", uuid.NewString())
	shelve(phone, "Untitled Book by nobody")
	if r := phone.Report(); r.Refreshes == 0 || len(r.Errors) > 0 || r.Disconnects > 0 {
		t.Errorf("the phone has lived through %+v", r)
	}
}

// TestSyncSDKOverRestarts ends the server, first in order and then not, under devices that go on writing.
func TestSyncSDKOverRestarts(t *testing.T) {
	p := start(t, "all", nil)
	owner := register(t, p.URL("papyrus"))
	node := powersync.Start(t)
	phone := node.NewDevice("phone", powersync.Options{Backend: p.URL("papyrus"), Checkpoints: "legacy"})
	tablet := node.NewDevice("tablet", powersync.Options{Backend: p.URL("papyrus"), Checkpoints: "requests"})
	devices := []*powersync.Device{phone, tablet}
	for _, device := range devices {
		connect(device, owner)
	}
	add := func(d *powersync.Device, title string) {
		write(d, "INSERT INTO books (id, title, author) VALUES (?, ?, 'Austen')", uuid.NewString(), title)
	}
	add(phone, "1")
	for _, device := range devices {
		shelve(device, "1 by Austen")
	}

	if code := p.Stop(terminate); code != 0 {
		t.Errorf("exit code %d with streams open", code)
	}
	add(phone, "2")
	p.Start()
	add(tablet, "3")
	for _, device := range devices {
		shelve(device, "1 by Austen", "2 by Austen", "3 by Austen")
	}

	p.Kill()
	add(tablet, "4")
	p.Start()
	add(phone, "5")
	for _, device := range devices {
		shelve(device, "1 by Austen", "2 by Austen", "3 by Austen", "4 by Austen", "5 by Austen")
	}
	if n := rows(t, p, "sync_ops"); n != 5 {
		t.Errorf("%d operations for five books", n)
	}
}

// TestSyncSDKCrashInUpload kills the server while a device uploads: before it has the upload, and after it has kept it but before the
// device has the answer. The device sends it again, and another device's later change stays.
func TestSyncSDKCrashInUpload(t *testing.T) {
	for _, tt := range []struct {
		name string
		kept bool
		want string
	}{
		{"before it is kept", false, "phone by Austen"},
		{"after it is kept", true, "tablet by Austen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, "all", nil)
			owner := register(t, p.URL("papyrus"))
			worst := newGate("/powersync-upload", tt.kept)
			through := worst.between(t)(p.URL("papyrus"))
			node := powersync.Start(t)
			tablet := node.NewDevice("tablet", powersync.Options{Backend: p.URL("papyrus"), Checkpoints: "legacy"})
			phone := node.NewDevice("phone", powersync.Options{Backend: through, Checkpoints: "legacy"})
			connect(tablet, owner)
			emma := uuid.NewString()
			write(tablet, "INSERT INTO books (id, title, author) VALUES (?, 'Emma', 'Austen')", emma)
			connect(phone, owner)
			shelve(phone, "Emma by Austen")

			write(phone, "UPDATE books SET title = 'phone' WHERE id = ?", emma)
			<-worst.reached
			if tt.kept {
				shelve(tablet, "phone by Austen")
			}
			write(tablet, "UPDATE books SET title = 'tablet' WHERE id = ?", emma)
			tablet.AwaitUploaded()
			p.Kill()
			close(worst.opened)
			p.Start()
			for _, device := range []*powersync.Device{phone, tablet} {
				shelve(device, tt.want)
			}
			phone.AwaitUploaded()
			if n := rows(t, p, "sync_ops"); n != 3 {
				t.Errorf("%d operations for one book that was changed twice", n)
			}
		})
	}
}
