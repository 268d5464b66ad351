package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/test/device"
	"github.com/provisioner/provisioner/test/postgres"
	"github.com/provisioner/provisioner/test/program"
)

// TestSyncHistories plays random histories of several users with several devices each: edits, deletes, offline spells, lost answers,
// crashes of the server and compaction, all at once. In the end every device shows what the server has, which is what the devices
// were told is kept; nothing was applied twice, and no checksum was ever wrong.
func TestSyncHistories(t *testing.T) {
	t.Run("on SQLite", func(t *testing.T) {
		playHistories(t, start(t, "papyrus", nil))
	})
	t.Run("on two replicas of Postgres", func(t *testing.T) {
		database := postgres.NewDatabase(t)
		replicas, _ := accountsOnPostgres(t, database, database)
		playHistories(t, replicas...)
	})
}

const (
	historyUsers   = 3
	historyDevices = 3   // of each, one for each column of deviceColumns
	historySteps   = 100 // of each device
	historyCrashes = 3
)

// deviceColumns are written by one device each, so that it is known what is in them in the end.
var deviceColumns = [historyDevices]string{"title", "subtitle", "author"}

// sharedColumn is written by all of them, each time with another value.
const sharedColumn = "publisher"

func playHistories(t *testing.T, replicas ...*program.Process) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), 2*program.Patience+30*time.Second)
	defer cancel()

	var users []*historyUser
	for n := range historyUsers {
		users = append(users, newHistoryUser(t, replicas, seed+uint64(n)))
	}
	var playing sync.WaitGroup
	began := time.Now()
	for _, u := range users {
		for _, d := range u.devices {
			playing.Go(func() { d.play(ctx) })
		}
	}
	played := make(chan struct{})
	go func() { playing.Wait(); close(played) }()
	disturb(t, replicas, played)
	<-played
	t.Logf("played after %v", time.Since(began).Round(time.Millisecond))
	for _, u := range users {
		u.check(ctx)
	}
	t.Logf("settled after %v", time.Since(began).Round(time.Millisecond))
}

// disturb crashes the replicas and compacts, until the devices have played.
func disturb(t *testing.T, replicas []*program.Process, played <-chan struct{}) {
	t.Helper()
	for n := range 2 * historyCrashes {
		select {
		case <-played:
			t.Logf("%d disturbances were to come", 2*historyCrashes-n)
			return
		case <-time.After(700 * time.Millisecond):
		}
		p := replicas[n%len(replicas)]
		t.Log(strings.TrimSpace(p.Run("sync", "compact", "--void", "1")))
		if n%2 == 1 {
			p.Crash()
		}
	}
}

// historyUser is a user with devices, and what is known of the library.
type historyUser struct {
	t       *testing.T
	reader  *reader
	url     string
	devices []*historyDevice

	mu      sync.Mutex
	deleted map[string]bool
	last    map[string]map[string]string // by row and column
	told    map[string]int               // by row and column: the number of the value in the last operation
	shared  map[string]string            // by row: the value of sharedColumn in the last operation
	retired map[string]bool              // by row and value: those that made way for another
}

func newHistoryUser(t *testing.T, replicas []*program.Process, seed uint64) *historyUser {
	t.Helper()
	u := &historyUser{
		t: t, url: replicas[0].URL("papyrus"), reader: register(t, replicas[0].URL("papyrus")),
		deleted: map[string]bool{}, last: map[string]map[string]string{}, told: map[string]int{},
		shared: map[string]string{}, retired: map[string]bool{},
	}
	for n := range historyDevices {
		d := &historyDevice{user: u, number: n, random: rand.New(rand.NewPCG(seed, uint64(n)))}
		session := u.reader.elsewhere(u.url)
		config := device.Config{
			URL:         replicas[n%len(replicas)].URL("papyrus"),
			AccessToken: session.access,
			OnToken:     keepPowerSyncToken,
			Transport:   &lossy{random: rand.New(rand.NewPCG(seed, uint64(100+n)))},
		}
		if n == 0 {
			config.OnOp = u.heard
		}
		d.Device = device.New(config)
		u.devices = append(u.devices, d)
	}
	return u
}

// heard judges the operations that one device gets: values of a column are numbered, and none comes back. What another device changed
// meanwhile does not change back, as it would if an upload whose answer was lost were applied again.
func (u *historyUser) heard(op device.Op) {
	if op.Kind != "PUT" {
		return
	}
	var row device.Row
	if err := json.Unmarshal([]byte(op.Data), &row); err != nil {
		u.t.Error(err)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, column := range deviceColumns {
		text, _ := row[column].(string)
		number, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		key := op.ObjectID + " " + column
		if number < u.told[key] {
			u.t.Errorf("%s: %d after %d: it was applied twice", key, number, u.told[key])
		}
		u.told[key] = number
	}
	value, _ := row[sharedColumn].(string)
	if before := u.shared[op.ObjectID]; value != before {
		u.retired[op.ObjectID+" "+before] = true
		u.shared[op.ObjectID] = value
	}
	if u.retired[op.ObjectID+" "+value] {
		u.t.Errorf("%s: %s is back: it was applied twice", op.ObjectID, value)
	}
}

func (u *historyUser) keep(id, column, value string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last[id] == nil {
		u.last[id] = map[string]string{}
	}
	u.last[id][column] = value
}

// historyDevice is one device that plays.
type historyDevice struct {
	*device.Device
	user   *historyUser
	number int
	random *rand.Rand
	count  int // of values written
}

func (d *historyDevice) play(ctx context.Context) {
	d.Online(ctx)
	for range historySteps {
		switch d.random.IntN(12) {
		case 0:
			d.Offline()
		case 1, 2:
			d.Online(ctx)
		case 3:
			d.Write(d.remove)
		case 4, 5, 6:
			d.Write(d.create)
		default:
			d.Write(func(tx *device.Tx) {
				for range 1 + d.random.IntN(4) {
					d.edit(tx)
				}
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(d.random.IntN(120)) * time.Millisecond): // the pace of the history
		}
	}
	d.Online(ctx)
}

func (d *historyDevice) create(tx *device.Tx) {
	id := uuid.NewString()
	tx.Put(id, d.row(id))
}

func (d *historyDevice) edit(tx *device.Tx) {
	if id := d.pick(tx); id != "" {
		tx.Patch(id, d.row(id))
	}
}

func (d *historyDevice) remove(tx *device.Tx) {
	if id := d.pick(tx); id != "" {
		tx.Delete(id)
		d.user.mu.Lock()
		defer d.user.mu.Unlock()
		d.user.deleted[id] = true
	}
}

// pick returns a row that the device shows, "" for none.
func (d *historyDevice) pick(tx *device.Tx) string {
	ids := make([]string, 0, len(tx.Rows()))
	for id := range tx.Rows() {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	return ids[d.random.IntN(len(ids))]
}

// row returns new values for what the device writes of a row.
func (d *historyDevice) row(id string) device.Row {
	return device.Row{deviceColumns[d.number]: d.value(id), sharedColumn: fmt.Sprint(d.number, "-", d.count)}
}

// value returns a new value of the device's column, numbered upwards.
func (d *historyDevice) value(id string) string {
	d.count++
	value := strconv.Itoa(d.count)
	d.user.keep(id, deviceColumns[d.number], value)
	return value
}

// check wants all devices to come to what the server has, and that to be what was written.
func (u *historyUser) check(ctx context.Context) {
	t := u.t
	t.Helper()
	for _, d := range u.devices {
		if err := d.AwaitSettled(ctx); err != nil {
			t.Errorf("device %d: %v", d.number, err)
		}
	}
	want := u.want()
	for _, d := range u.devices {
		err := d.Await(ctx, func() bool { return cmp.Equal(want, written(d.Rows())) })
		if err != nil {
			t.Errorf("device %d of %s (-want +got): %v\n%s", d.number, u.reader.email, err, cmp.Diff(want, written(d.Rows())))
		}
	}
	for _, d := range u.devices {
		d.Offline()
		if faults := errors.Join(d.Faults()...); faults != nil {
			t.Errorf("device %d: %v", d.number, faults)
		}
		if diff := cmp.Diff(u.devices[0].Rows(), d.Rows()); diff != "" {
			t.Errorf("devices 0 and %d differ:\n%s", d.number, diff)
		}
	}
	u.checkExport(want)
}

// checkExport wants the server's own account of the library to have the rows.
func (u *historyUser) checkExport(want map[string]map[string]string) {
	u.t.Helper()
	var export struct {
		Books []device.Row `json:"books"`
	}
	a := u.reader.call(http.MethodGet, u.url+"/v1/users/me/export", "")
	if err := json.Unmarshal([]byte(a.Body), &export); err != nil {
		u.t.Fatal(err)
	}
	got := map[string]device.Row{}
	for _, row := range export.Books {
		got[fmt.Sprint(row["book_id"])] = row
	}
	if diff := cmp.Diff(want, written(got)); diff != "" {
		u.t.Errorf("export (-want +got):\n%s", diff)
	}
}

// want returns the rows that were not deleted, with the last value of each column.
func (u *historyUser) want() map[string]map[string]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	want := map[string]map[string]string{}
	for id, columns := range u.last {
		if !u.deleted[id] {
			want[id] = columns
		}
	}
	return want
}

// written returns what devices wrote of rows.
func written(rows map[string]device.Row) map[string]map[string]string {
	got := map[string]map[string]string{}
	for id, row := range rows {
		got[id] = map[string]string{}
		for _, column := range deviceColumns {
			if text, ok := row[column].(string); ok && text != "Untitled Book" {
				got[id][column] = text
			}
		}
	}
	return got
}

// lossy is a network that loses some requests, and the answers to some others.
type lossy struct {
	mu     sync.Mutex
	random *rand.Rand
}

var errLost = errors.New("lost by the network")

// RoundTrip implements [http.RoundTripper].
func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	chance := l.random.IntN(100)
	l.mu.Unlock()
	if chance < 5 {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, errLost
	}
	resp, err := network.RoundTrip(r)
	if err == nil && chance < 15 && !strings.HasPrefix(r.URL.Path, "/sync/stream") {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errLost
	}
	return resp, err
}
