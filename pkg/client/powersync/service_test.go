package powersync_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// service is a PowerSync service whose streams say what a test has them say, and the connector of its devices.
type service struct {
	*httptest.Server
	streams          chan *opened
	writeCheckpoints atomic.Int64
	tokens           atomic.Int64 // that were fetched
	refuse           atomic.Bool  // the token of the next stream
	connections      atomic.Int64 // that are open
	upload           func(ctx context.Context, db *powersync.DB) error
}

// opened is a stream that a device holds open.
type opened struct {
	Buckets []struct{ Name, After string }
	Client  string      `json:"client_id"`
	lines   chan string // closing it ends the stream
	gone    <-chan struct{}
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{streams: make(chan *opened), upload: complete}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sync/stream", func(w http.ResponseWriter, r *http.Request) {
		if s.refuse.Swap(false) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		o := &opened{lines: make(chan string), gone: r.Context().Done()}
		if err := json.NewDecoder(r.Body).Decode(o); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = http.NewResponseController(w).Flush()
		select {
		case s.streams <- o:
		case <-o.gone:
			return
		}
		for {
			select {
			case line, open := <-o.lines:
				if !open {
					return
				}
				_, _ = io.WriteString(w, line+"\n")
				_ = http.NewResponseController(w).Flush()
			case <-o.gone:
				return
			}
		}
	})
	mux.HandleFunc("GET /write-checkpoint2.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"data":{"write_checkpoint":"%d"}}`, s.writeCheckpoints.Add(1))
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
		if state == http.StateClosed {
			s.connections.Add(-1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// complete takes a transaction for uploaded.
func complete(ctx context.Context, db *powersync.DB) error {
	next, _, err := db.NextTransaction(ctx)
	if err != nil {
		return err
	}
	return db.Complete(ctx, next)
}

func (s *service) FetchCredentials(context.Context) (powersync.Credentials, error) {
	return powersync.Credentials{Endpoint: s.URL + "/", Token: strconv.FormatInt(s.tokens.Add(1), 10)}, nil
}

func (s *service) UploadData(ctx context.Context, db *powersync.DB) error { return s.upload(ctx, db) }

// next returns the next stream that a device opens.
func (s *service) next(t *testing.T) *opened {
	t.Helper()
	select {
	case o := <-s.streams:
		return o
	case <-time.After(30 * time.Second):
		t.Fatal("no stream was opened")
		return nil
	}
}

// say sends lines.
func (o *opened) say(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		select {
		case o.lines <- line:
		case <-o.gone:
			t.Fatalf("the device has left before %.100s", line)
		}
	}
}

// leaves waits until the device has left the stream.
func (o *opened) leaves(t *testing.T) {
	t.Helper()
	select {
	case <-o.gone:
	case <-time.After(30 * time.Second):
		t.Fatal("the device has not left the stream")
	}
}

// held is what the device said that it has, "bucket after".
func (o *opened) held() []string {
	all := []string{}
	for _, b := range o.Buckets {
		all = append(all, b.Name+" "+b.After)
	}
	return all
}

// The lines of a stream. A checkpoint is of buckets as "name", sum and, if it is not the default, priority.
func bucketOf(name string, sum, priority int) string {
	return fmt.Sprintf(`{"bucket":%q,"checksum":%d,"count":1,"priority":%d}`, name, sum, priority)
}

func checkpointOf(buckets string) string {
	return `{"checkpoint":{"last_op_id":"9","buckets":[` + buckets + `]}}`
}

func written(writeCheckpoint int, buckets string) string {
	return fmt.Sprintf(`{"checkpoint":{"last_op_id":"9","write_checkpoint":"%d","buckets":[%s]}}`, writeCheckpoint, buckets)
}

func diffOf(buckets string) string {
	return `{"checkpoint_diff":{"last_op_id":"9","updated_buckets":[` + buckets + `],"removed_buckets":[]}}`
}

func dataOf(bucket, ops string) string {
	return fmt.Sprintf(`{"data":{"bucket":%q,"after":"0","next_after":"9","has_more":false,"data":[%s]}}`, bucket, ops)
}

// put is an operation whose checksum is its number.
func put(id int, row, title string) string {
	return fmt.Sprintf(`{"op_id":"%d","op":"PUT","object_type":"books","object_id":%q,"checksum":%[1]d,"data":"{\"title\":\"%[3]s\"}"}`, id, row, title)
}

func remove(id int, row string) string {
	return fmt.Sprintf(`{"op_id":"%d","op":"REMOVE","object_type":"books","object_id":%q,"checksum":%[1]d,"data":null}`, id, row)
}

const (
	completeLine = `{"checkpoint_complete":{"last_op_id":"9"}}`
	partialLine  = `{"partial_checkpoint_complete":{"last_op_id":"9","priority":%d}}`
)

// TestOperations shows what each operation does to what the app sees, and that the device asks on from the last.
func TestOperations(t *testing.T) {
	s := newService(t)
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	stream := s.next(t)
	if len(stream.Buckets) != 0 {
		t.Errorf("a new device has %v", stream.held())
	}
	stream.say(t, `{"something_new":{"of":[1,null]}}`, checkpointOf(bucketOf("a", 1+2+3, 1)+","+bucketOf("b", 4, 1)),
		dataOf("a", put(1, "x", "X")+","+put(2, "y", "Y")+","+put(3, "x", "X3")), dataOf("b", put(4, "x", "X4")), completeLine)
	shelve(t, db, "X4", "Y")
	stream.say(t, diffOf(bucketOf("b", 4+5, 1)), dataOf("b", remove(5, "x")), completeLine)
	shelve(t, db, "X3", "Y") // the other bucket still has it
	stream.say(t, diffOf(bucketOf("a", 1+2+3+6+7, 1)), dataOf("a", remove(6, "y")+`,{"op_id":"7","op":"MOVE","checksum":7}`), completeLine)
	shelve(t, db, "X3")
	stream.say(t, diffOf(bucketOf("a", 1+2+3+6+7+8+9, 1)),
		dataOf("a", `{"op_id":"8","op":"CLEAR","checksum":27},`+put(9, "z", "Z")), `{"keepalive":true}`)
	stream.say(t, diffOf(bucketOf("a", 27+9, 1)), completeLine)
	shelve(t, db, "Z")

	close(stream.lines)
	stream = s.next(t)
	if diff := cmp.Diff([]string{"a 9", "b 5"}, stream.held()); diff != "" {
		t.Errorf("held after a lost connection (-want +got):\n%s", diff)
	}
	stream.say(t, checkpointOf(bucketOf("b", 4+5+10, 1)), dataOf("b", put(10, "b", "B")), completeLine)
	shelve(t, db, "B") // bucket a is no more
	stream.say(t, `{"checkpoint_diff":{"last_op_id":"9","updated_buckets":[],"removed_buckets":["b"]}}`, completeLine)
	shelve(t, db)
	await(t, func() bool { return !db.Status().Downloading })
	if status := db.Status(); status.DownloadError != nil || !status.Connected {
		t.Errorf("status %+v", status)
	}
}

// TestPriorities has a group of buckets shown as soon as it is there.
func TestPriorities(t *testing.T) {
	s := newService(t)
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	stream := s.next(t)
	stream.say(t, checkpointOf(bucketOf("now", 1, 0)+","+bucketOf("soon", 2, 1)+`,{"bucket":"late","checksum":7,"count":2}`),
		dataOf("now", put(1, "x", "now")), fmt.Sprintf(partialLine, 0))
	shelve(t, db, "now")
	stream.say(t, dataOf("late", put(3, "z", "late")), dataOf("soon", put(2, "y", "soon")), fmt.Sprintf(partialLine, 1))
	shelve(t, db, "now", "soon")
	if !db.Status().LastSyncedAt.IsZero() {
		t.Error("a part of a checkpoint counts as a sync")
	}
	stream.say(t, dataOf("late", put(4, "y", "late too")), completeLine)
	shelve(t, db, "late", "late too", "now")

	// What becomes of a later group is not shown with an earlier one.
	stream.say(t, diffOf(bucketOf("soon", 2+8, 1)+`,{"bucket":"late","checksum":16,"count":3}`), dataOf("late", remove(9, "z")))
	close(stream.lines)
	stream = s.next(t)
	again := checkpointOf(bucketOf("now", 1, 0) + "," + bucketOf("soon", 2+8, 1) + `,{"bucket":"late","checksum":7,"count":2}`)
	stream.say(t, again, dataOf("soon", put(8, "y", "soon too")), fmt.Sprintf(partialLine, 1))
	shelve(t, db, "late", "now", "soon too")
	stream.say(t, completeLine) // which does not add up
	stream.leaves(t)
	stream = s.next(t)
	stream.say(t, again, fmt.Sprintf(partialLine, 1), dataOf("late", put(3, "z", "late")))
	await(t, func() bool { return db.Status().Received == 1 })
	expect(t, db, "late", "now", "soon too")
	stream.say(t, dataOf("late", put(4, "y", "late too")), completeLine)
	completed(t, db, 2)
	expect(t, db, "late", "now", "soon too")

	// The first group is shown even while the app has changes that the server has not.
	s.upload = func(context.Context, *powersync.DB) error { return errors.New("no network") }
	run(t, db, `UPDATE books SET title = 'mine' WHERE id = 'z'`)
	stream.say(t, diffOf(bucketOf("now", 1+5, 0)+","+bucketOf("soon", 2+8+10+11, 1)),
		dataOf("now", put(5, "x", "now!")), fmt.Sprintf(partialLine, 0),
		dataOf("soon", put(10, "s", "soon!")+","+put(11, "s", "soon!!")), fmt.Sprintf(partialLine, 1), completeLine)
	completed(t, db, 3)
	expect(t, db, "mine", "now!", "soon too")
}

// completed waits until the device has a whole checkpoint, for which it received so many operations.
func completed(t *testing.T, db *powersync.DB, operations int64) {
	t.Helper()
	await(t, func() bool { s := db.Status(); return s.Received == operations && !s.Downloading })
}

func expect(t *testing.T, db *powersync.DB, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, titles(t, db)); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

// TestOwnChangesStay holds checkpoints back until they have what the app wrote.
func TestOwnChangesStay(t *testing.T) {
	s := newService(t)
	var online atomic.Bool
	s.upload = func(ctx context.Context, db *powersync.DB) error {
		if !online.Load() {
			return errors.New("no network")
		}
		return complete(ctx, db)
	}
	db := open(t, t.TempDir(), quick())
	run(t, db, `INSERT INTO books (id, title) VALUES ('m', 'mine'), ('r', 'refused')`)
	db.Connect(s)
	stream := s.next(t)
	stream.say(t, written(0, bucketOf("a", 1, 1)), dataOf("a", put(1, "m", "theirs")), completeLine)
	completed(t, db, 1)
	expect(t, db, "mine", "refused")
	await(t, func() bool { err := db.Status().UploadError; return err != nil && err.Error() == "no network" })
	online.Store(true)
	await(t, func() bool { return s.writeCheckpoints.Load() == 1 })
	stream.say(t, written(1, bucketOf("a", 1+2, 1)), dataOf("a", put(2, "m", "merged")), completeLine)
	shelve(t, db, "merged") // what the server refused is gone
	await(t, func() bool { return db.Status().UploadError == nil })

	// The same where the checkpoint comes before the device knows which one it awaits.
	release := make(chan struct{})
	s.upload = func(ctx context.Context, db *powersync.DB) error { <-release; return complete(ctx, db) }
	run(t, db, `UPDATE books SET title = 'mine again' WHERE id = 'm'`)
	stream.say(t, written(2, bucketOf("a", 1+2+3+4, 1)), dataOf("a", put(3, "m", "overtaken")+","+put(4, "m", "merged again")), completeLine)
	completed(t, db, 2)
	expect(t, db, "mine again")
	close(release)
	shelve(t, db, "merged again")
}

// await asks every few milliseconds whether ok holds, and returns when it does.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}

// TestWrongChecksum downloads a bucket again that does not add up, while the app sees what it saw.
func TestWrongChecksum(t *testing.T) {
	s := newService(t)
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	stream := s.next(t)
	good, other := bucketOf("a", 1, 1), bucketOf("b", 2, 1)
	stream.say(t, checkpointOf(good+","+other), dataOf("a", put(1, "x", "X")), dataOf("b", put(2, "y", "Y")), completeLine)
	shelve(t, db, "X", "Y")
	stream.say(t, diffOf(bucketOf("a", 99, 1)), dataOf("a", put(3, "x", "corrupt")), completeLine)
	stream.leaves(t)
	stream = s.next(t)
	if diff := cmp.Diff([]string{"b 2"}, stream.held()); diff != "" {
		t.Errorf("held after a wrong checksum (-want +got):\n%s", diff)
	}
	if err := db.Status().DownloadError; !errors.Is(err, powersync.ErrChecksum) {
		t.Errorf("download error %v", err)
	}
	stream.say(t, checkpointOf(good+","+other), dataOf("a", put(1, "x", "X")))
	await(t, func() bool { return db.Status().Received == 1 })
	expect(t, db, "X", "Y")
	stream.say(t, diffOf(bucketOf("a", 1+4, 1)), dataOf("a", put(4, "x", "mended")), completeLine)
	shelve(t, db, "Y", "mended")
	await(t, func() bool { return db.Status().DownloadError == nil })
}

// TestFaultyStreams leaves streams that say what they must not, and keeps nothing of it.
func TestFaultyStreams(t *testing.T) {
	s := newService(t)
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	begin := checkpointOf(bucketOf("a", 1, 1))
	for name, lines := range map[string][]string{
		"no JSON":                     {`{"checkpoint":`},
		"not an object":               {`[]`},
		"data first":                  {dataOf("a", put(1, "x", "X"))},
		"a part first":                {fmt.Sprintf(partialLine, 1)},
		"an end first":                {completeLine},
		"a difference first":          {diffOf(bucketOf("a", 1, 1))},
		"a bucket of no checkpoint":   {begin, dataOf("b", put(1, "x", "X"))},
		"operations in another order": {begin, dataOf("a", put(2, "x", "X")+","+put(1, "x", "X"))},
		"an operation twice":          {begin, dataOf("a", put(1, "x", "X")), dataOf("a", put(1, "x", "X"))},
		"an unknown operation":        {begin, dataOf("a", `{"op_id":"1","op":"MERGE","checksum":1}`)},
		"an id that is none":          {begin, dataOf("a", `{"op_id":"-1","op":"MOVE","checksum":1}`)},
		"a row that is no object":     {begin, dataOf("a", `{"op_id":"1","op":"PUT","object_type":"books","object_id":"x","checksum":1,"data":"[1]"}`)},
		"a row that is no JSON":       {begin, dataOf("a", `{"op_id":"1","op":"PUT","object_type":"books","object_id":"x","checksum":1,"data":"{"}`)},
		"a row that is too deep":      {begin, dataOf("a", nested(1001))},
		"no row":                      {begin, dataOf("a", `{"op_id":"1","op":"PUT","object_type":"books","object_id":"x","checksum":1,"data":null}`)},
		"a token that has ended":      {begin, `{"token_expires_in":0}`},
	} {
		stream := s.next(t)
		stream.say(t, lines...)
		stream.leaves(t)
		await(t, func() bool { return db.Status().DownloadError != nil })
		if got := titles(t, db); len(got) > 0 {
			t.Errorf("%s: books %q", name, got)
		}
	}
	stream := s.next(t)
	stream.say(t, begin, dataOf("a", nested(1000)), completeLine)
	shelve(t, db, `{"[":[`+strings.Repeat("[", 997)+strings.Repeat("]", 997)+"]}")
}

// nested is an operation whose row is nested so deep.
func nested(levels int) string {
	row := `{"title":{"[":[` + strings.Repeat("[", levels-3) + strings.Repeat("]", levels-3) + `]}}`
	return fmt.Sprintf(`{"op_id":"1","op":"PUT","object_type":"books","object_id":"x","checksum":1,"data":%q}`, row)
}

// TestErrorsAreForTerminals quotes names of the service's in errors, which a person reads.
func TestErrorsAreForTerminals(t *testing.T) {
	s := newService(t)
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	begin := `{"checkpoint":{"last_op_id":"9","buckets":[{"bucket":"\u001b[2J","checksum":1,"count":1}]}}`
	for _, line := range []string{completeLine, `{"data":{"bucket":"\u001b[2J","data":[{"op_id":"1","op":"\u001b[2J"}]}}`} {
		stream := s.next(t)
		stream.say(t, begin, line)
		stream.leaves(t)
		await(t, func() bool { return db.Status().DownloadError != nil })
		if err := db.Status().DownloadError.Error(); strings.Contains(err, "\x1b") {
			t.Errorf("the error has control characters: %q", err)
		}
	}
}

// TestContentChecksums refuses operations that are not those that their checksums were made of, whatever they add up to.
func TestContentChecksums(t *testing.T) {
	sumOf := func(text string) int {
		sum := sha256.Sum256([]byte(text))
		return int(binary.LittleEndian.Uint32(sum[:]))
	}
	sumX, sumGone := sumOf(`put.books.x.{"title":"X"}`), sumOf("delete.books.x")
	op := func(kind, row, data string, sum int) string {
		return fmt.Sprintf(`{"op_id":"1","op":%q,"object_type":"books","object_id":%q,"checksum":%d,"data":%s}`, kind, row, sum, data)
	}
	row := `"{\"title\":\"X\"}"`
	for name, tt := range map[string]struct {
		op   string
		sum  int
		good bool
	}{
		"as it was":        {op("PUT", "x", row, sumX), sumX, true},
		"a signed sum":     {op("PUT", "x", row, sumX-1<<32), sumX - 1<<32, true},
		"gone":             {op("REMOVE", "x", "null", sumGone), sumGone, true},
		"another row":      {op("PUT", "x", `"{\"title\":\"Y\"}"`, sumX), sumX, false},
		"another id":       {op("PUT", "y", row, sumX), sumX, false},
		"gone instead":     {op("REMOVE", "x", "null", sumX), sumX, false},
		"another one gone": {op("REMOVE", "y", "null", sumGone), sumGone, false},
		"gone, of a service that names rows in its own way": {
			`{"op_id":"1","op":"REMOVE","object_type":"books","object_id":"x","subkey":"t/1","checksum":7,"data":null}`, 7, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			db := open(t, t.TempDir(), quick(), powersync.WithContentChecksums())
			db.Connect(s)
			stream := s.next(t)
			stream.say(t, checkpointOf(bucketOf("a", tt.sum, 1)), dataOf("a", tt.op))
			if !tt.good {
				stream.leaves(t)
				await(t, func() bool { return errors.Is(db.Status().DownloadError, powersync.ErrChecksum) })
				return
			}
			stream.say(t, completeLine)
			await(t, func() bool { return !db.Status().LastSyncedAt.IsZero() })
		})
	}
}

// TestTokens renews tokens before they end without showing it, and forgets those that are refused.
func TestTokens(t *testing.T) {
	s := newService(t)
	s.refuse.Store(true)
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	stream := s.next(t)
	if n := s.tokens.Load(); n != 2 {
		t.Errorf("%d tokens after one was refused", n)
	}
	stream.say(t, `{"token_expires_in":300}`, checkpointOf(bucketOf("a", 1, 1)), dataOf("a", put(1, "x", "X")), completeLine)
	shelve(t, db, "X")
	ctx, cancel := context.WithCancel(t.Context())
	lost := make(chan bool, 1)
	go func() {
		for range db.StatusChanges(ctx) {
			if !db.Status().Connected {
				lost <- true
				return
			}
		}
		lost <- false
	}()
	stream.say(t, `{"token_expires_in":20}`)
	stream.leaves(t)
	stream = s.next(t)
	if diff := cmp.Diff([]string{"a 1"}, stream.held()); diff != "" || s.tokens.Load() != 3 {
		t.Errorf("%d tokens; held (-want +got):\n%s", s.tokens.Load(), diff)
	}
	stream.say(t, checkpointOf(bucketOf("a", 1, 1)), completeLine, `{"token_expires_in":0}`)
	stream.leaves(t)
	stream = s.next(t)
	if n := s.tokens.Load(); n != 4 {
		t.Errorf("%d tokens after the last has ended", n)
	}
	stream.say(t, checkpointOf(bucketOf("a", 1+2, 1)), dataOf("a", put(2, "y", "Y")), `{"token_expires_in":0}`)
	stream.leaves(t) // long before all has come, and goes on from there
	stream = s.next(t)
	if diff := cmp.Diff([]string{"a 2"}, stream.held()); diff != "" || db.Status().DownloadError != nil {
		t.Errorf("%+v; held (-want +got):\n%s", db.Status(), diff)
	}
	stream.say(t, checkpointOf(bucketOf("a", 1+2, 1)), completeLine)
	shelve(t, db, "X", "Y")
	cancel()
	if <-lost {
		t.Error("the renewal shows as a lost connection")
	}
}

// TestCloseClosesConnections has one that uploads leave idle.
func TestCloseClosesConnections(t *testing.T) {
	s := newService(t)
	db := open(t, t.TempDir(), quick())
	run(t, db, `INSERT INTO books (id) VALUES ('a')`)
	db.Connect(s)
	s.next(t)
	await(t, func() bool { return s.writeCheckpoints.Load() == 1 })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return s.connections.Load() == 0 })
}

// TestElsewhere has one of two processes sync, both see what comes, and the other take over.
func TestElsewhere(t *testing.T) {
	s := newService(t)
	dir := t.TempDir()
	first, second := open(t, dir, quick()), open(t, dir, quick())
	first.Connect(s)
	stream := s.next(t)
	second.Connect(s)
	await(t, func() bool { return second.Status().Elsewhere })
	stream.say(t, checkpointOf(bucketOf("a", 1, 1)), dataOf("a", put(1, "x", "X")), completeLine)
	shelve(t, second, "X")
	await(t, func() bool { return !second.Status().LastSyncedAt.IsZero() })

	waited := make(chan error)
	go func() { waited <- second.AwaitSynced(t.Context()) }()
	await(t, func() bool { return s.writeCheckpoints.Load() == 1 }) // the first has asked for it
	stream.say(t, written(1, bucketOf("a", 1, 1)), completeLine)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	await(t, func() bool { return powersync.Subscribers(second) == 0 }) // AwaitSynced watches no longer than it takes
	first.Disconnect()
	if diff := cmp.Diff([]string{"a 1"}, s.next(t).held()); diff != "" {
		t.Errorf("held by the second (-want +got):\n%s", diff)
	}
}

// TestClearedElsewhere stops syncing what is somebody else's now.
func TestClearedElsewhere(t *testing.T) {
	s := newService(t)
	dir := t.TempDir()
	db, other := open(t, dir, quick()), open(t, dir)
	db.Connect(s)
	stream := s.next(t)
	stream.say(t, checkpointOf(bucketOf("a", 1, 1)), dataOf("a", put(1, "x", "X")), completeLine)
	shelve(t, db, "X")
	if err := other.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	shelve(t, db)
	stream.say(t, dataOf("a", put(2, "y", "Y")))
	stream.leaves(t)
	await(t, func() bool {
		return errors.Is(db.Status().DownloadError, powersync.ErrCleared) && !db.Status().Connecting
	})
	if got := titles(t, other); len(got) > 0 {
		t.Errorf("books %q came after all was cleared", got)
	}
	if err := db.AwaitSynced(t.Context()); !errors.Is(err, powersync.ErrCleared) {
		t.Errorf("AwaitSynced: %v", err)
	}
}

// TestAwaitSyncedSaysWhatKeepsIt ends with its context, and the error of the last try.
func TestAwaitSyncedSaysWhatKeepsIt(t *testing.T) {
	s := newService(t)
	s.Close()
	db := open(t, t.TempDir(), quick())
	db.Connect(s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for range db.StatusChanges(ctx) {
			if db.Status().DownloadError != nil {
				return
			}
		}
	}()
	err := db.AwaitSynced(ctx)
	if refused, ok := errors.AsType[*url.Error](err); !ok || !errors.Is(err, context.Canceled) {
		t.Errorf("AwaitSynced: %v (%v)", err, refused)
	}
}

// TestConnectorThatCompletesNothing is told so, instead of being called for ever.
func TestConnectorThatCompletesNothing(t *testing.T) {
	s := newService(t)
	s.upload = func(context.Context, *powersync.DB) error { return nil }
	db := open(t, t.TempDir(), quick())
	run(t, db, `INSERT INTO books (id) VALUES ('a')`)
	db.Connect(s)
	await(t, func() bool { return db.Status().UploadError != nil })
	db.Disconnect()
	if n, err := db.Queued(t.Context()); n != 1 || err != nil {
		t.Errorf("%d are queued (%v)", n, err)
	}
}

// TestNewTableShowsWhatWasReceived opens a file with a table that an older app had not.
func TestNewTableShowsWhatWasReceived(t *testing.T) {
	s := newService(t)
	dir := t.TempDir()
	db, err := powersync.Open(t.Context(), dir+"/test.db", nil, quick())
	if err != nil {
		t.Fatal(err)
	}
	db.Connect(s)
	s.next(t).say(t, checkpointOf(bucketOf("a", 1, 1)), dataOf("a", put(1, "x", "X")), completeLine)
	await(t, func() bool { return !db.Status().LastSyncedAt.IsZero() })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, quick())
	db.Connect(s)
	s.next(t).say(t, checkpointOf(bucketOf("a", 1, 1)), completeLine)
	shelve(t, db, "X")
	err = db.Write(t.Context(), func(*sql.Tx) error { return errors.New("changed my mind") })
	if err == nil {
		t.Error("Write has no error")
	}
}
