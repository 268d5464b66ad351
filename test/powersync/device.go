package powersync

import (
	"encoding/json"
	"testing"
	"time"
)

// Device is an app's database in PowerSync's SDK. Its methods fail the test on an error, and after a minute.
type Device struct {
	t    testing.TB
	name string
	act  func(action) ([]byte, error)
}

// Connect signs in, and returns when the stream stands or when its first try has failed; the SDK goes on trying.
func (d *Device) Connect(accessToken, refreshToken string) {
	d.t.Helper()
	d.call("connect", map[string]string{"access": accessToken, "refresh": refreshToken}, nil)
}

// Disconnect goes offline.
func (d *Device) Disconnect() { d.t.Helper(); d.call("disconnect", nil, nil) }

// SignOut goes offline and forgets everything.
func (d *Device) SignOut() { d.t.Helper(); d.call("signOut", nil, nil) }

// Close ends the use of the database.
func (d *Device) Close() { d.t.Helper(); d.call("close", nil, nil) }

// Statement is a text of SQL and its arguments.
type Statement []any

// Execute runs statements in one transaction.
func (d *Device) Execute(statements ...Statement) {
	d.t.Helper()
	d.call("execute", map[string]any{"statements": statements}, nil)
}

// Query decodes the rows of a query, JSON objects, into into.
func (d *Device) Query(into any, sql string, args ...any) {
	d.t.Helper()
	d.call("query", map[string]any{"sql": sql, "args": args}, into)
}

// Await returns, once the rows of a query are these, when that was. A row is a struct or map whose JSON is the object of the columns, in
// their order.
func (d *Device) Await(rows any, sql string, args ...any) time.Time {
	d.t.Helper()
	var at float64 // ms of Unix time
	d.call("awaits", map[string]any{"sql": sql, "args": args, "rows": rows}, &at)
	return time.UnixMicro(int64(at * 1000))
}

// AwaitUploaded returns when nothing waits to be uploaded.
func (d *Device) AwaitUploaded() {
	d.t.Helper()
	d.Await([]map[string]int{{"n": 0}}, "SELECT count(*) AS n FROM ps_crud")
}

// Report is what a device has lived through.
type Report struct {
	Connects    int            `json:"connects"`    // how often its status became connected
	Disconnects int            `json:"disconnects"` // and then neither that nor connecting
	Tokens      int            `json:"tokens"`      // PowerSync tokens that it got
	Refreshes   int            `json:"refreshes"`   // how often its access token was refused
	Uploads     map[string]int `json:"uploads"`     // by status
	Streams     map[string]int `json:"streams"`     // by Content-Type; of devices in Node
	Errors      []string       `json:"errors"`      // that its status showed
}

// Report returns what the device has lived through.
func (d *Device) Report() Report {
	d.t.Helper()
	var r Report
	d.call("report", nil, &r)
	return r
}

func (d *Device) call(method string, with, into any) {
	d.t.Helper()
	d.do(action{Call: method, With: with}, into)
}

// do has the device act, and decodes what comes of it unless into is nil.
func (d *Device) do(a action, into any) {
	d.t.Helper()
	a.Device = d.name
	out, err := d.act(a)
	if err == nil && into != nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		d.t.Fatalf("device %s: %v", d.name, err)
	}
}
