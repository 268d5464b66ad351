package syncstream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

var errDown = errors.New("no answer")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// store is a Store and a Changes in memory.
type store struct {
	mu          sync.Mutex
	users       map[string]*account
	subscribers []func(string)
	err         error
	beforeOps   func(syncstream.Page) // called before each reading
}

// account is what the store has of one user.
type account struct {
	head      int64
	ops       map[string][]syncstream.Op
	checksum  map[string]uint32
	compacted map[string]int64
	writes    map[string]int64
	asked     int // how often for a snapshot
}

func newStore(users ...string) *store {
	s := &store{users: map[string]*account{}}
	for _, u := range users {
		s.users[u] = &account{
			ops: map[string][]syncstream.Op{}, checksum: map[string]uint32{}, compacted: map[string]int64{}, writes: map[string]int64{},
		}
	}
	return s
}

func (s *store) OnChange(f func(string)) { s.subscribers = append(s.subscribers, f) }

func (s *store) tell(userID string) {
	for _, f := range s.subscribers {
		f(userID)
	}
}

func (s *store) Snapshot(_ context.Context, userID, clientID string) (syncstream.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[userID]
	if u == nil {
		return syncstream.Snapshot{}, fmt.Errorf("look: %w", syncstream.ErrNoUser)
	}
	u.asked++
	out := syncstream.Snapshot{Head: u.head, WriteCheckpoint: u.writes[clientID]}
	for stream, ops := range u.ops {
		out.Buckets = append(out.Buckets, syncstream.Bucket{
			Stream: stream, Checksum: u.checksum[stream], Count: int64(len(ops)), Compacted: u.compacted[stream],
		})
	}
	return out, s.err
}

func (s *store) Ops(_ context.Context, p syncstream.Page) ([]syncstream.Op, error) {
	if s.beforeOps != nil {
		s.beforeOps(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []syncstream.Op
	size := 0
	for _, op := range s.users[p.UserID].ops[p.Stream] {
		if op.ID > p.After && op.ID <= p.UpTo && len(out) < p.Ops && (size < p.Bytes || len(out) == 0) {
			out, size = append(out, op), size+len(op.Data)
		}
	}
	return out, s.err
}

func (s *store) Compacted(_ context.Context, userID, stream string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[userID]
	if len(u.ops[stream]) == 0 {
		return 0, syncstream.ErrNoUser // there is no such bucket
	}
	return u.compacted[stream], s.err
}

func (s *store) WriteCheckpoint(_ context.Context, userID, clientID string, atLeast int64, _ time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[userID]
	if u == nil {
		return 0, syncstream.ErrNoUser
	}
	if atLeast == 0 {
		atLeast = u.writes[clientID] + 1
	}
	u.writes[clientID] = max(u.writes[clientID], atLeast)
	return u.writes[clientID], nil
}

// commit appends operations, and tells of them.
func (s *store) commit(userID, stream string, ops ...syncstream.Op) {
	s.mu.Lock()
	u := s.users[userID]
	for _, op := range ops {
		u.head++
		op.ID = u.head
		u.ops[stream] = append(u.ops[stream], op)
		u.checksum[stream] += op.Checksum
	}
	s.mu.Unlock()
	s.tell(userID)
}

// compact makes the operation of an ID, of the books of u1, a MOVE.
func (s *store) compact(id int64) {
	const stream = "user_books"
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users["u1"]
	ops := u.ops[stream]
	i := slices.IndexFunc(ops, func(op syncstream.Op) bool { return op.ID == id })
	ops[i] = syncstream.Op{ID: id, Kind: syncstream.Move, Checksum: ops[i].Checksum}
	u.compacted[stream] = u.head
}

func (s *store) asked(userID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[userID].asked
}

// fixed is an operation whose checksum is easy to add up.
func fixed(op syncstream.Op, checksum uint32) syncstream.Op {
	op.Checksum = checksum
	return op
}

func put(id, data string, checksum uint32) syncstream.Op {
	return fixed(syncstream.NewPut("books", id, []byte(data)), checksum)
}

// device takes lines. It may be slow: then each is taken when the test says so.
type device struct {
	mu    sync.Mutex
	lines []string
	take  chan struct{} // nil: at once
	err   error
}

func (d *device) Write(line []byte) (int, error) {
	if d.take != nil {
		<-d.take
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, string(line))
	return len(line), d.err
}

// read returns the lines since it was called last, those of BSON as the JSON that they are.
func (d *device) read(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]string, len(d.lines))
	for i, line := range d.lines {
		if strings.HasPrefix(line, "{") && strings.HasSuffix(line, "}\n") {
			out[i] = strings.TrimSuffix(line, "\n")
			continue
		}
		out[i] = string(fromBSON(t, []byte(line), false))
	}
	d.lines = nil
	return out
}

// fromBSON returns the JSON of a BSON document, its members in their order.
func fromBSON(t testing.TB, doc []byte, list bool) []byte {
	t.Helper()
	if len(doc) < 5 || int(binary.LittleEndian.Uint32(doc)) != len(doc) || doc[len(doc)-1] != 0 {
		t.Fatalf("no BSON document: %x", doc)
	}
	var out bytes.Buffer
	out.WriteByte(map[bool]byte{false: '{', true: '['}[list])
	rest := doc[4 : len(doc)-1]
	for n := 0; len(rest) > 0; n++ {
		kind := rest[0]
		name, value, _ := bytes.Cut(rest[1:], []byte{0})
		if n > 0 {
			out.WriteByte(',')
		}
		if list && string(name) != fmt.Sprint(n) {
			t.Fatalf("element %d of a list is named %q", n, name)
		}
		if !list {
			quoted, _ := jsontext.AppendQuote(nil, name)
			out.Write(append(quoted, ':'))
		}
		rest = element(t, &out, kind, value)
	}
	out.WriteByte(map[bool]byte{false: '}', true: ']'}[list])
	return out.Bytes()
}

// element writes one value, and returns what follows it.
func element(t testing.TB, out *bytes.Buffer, kind byte, b []byte) []byte {
	t.Helper()
	switch kind {
	case 0x01:
		out.WriteString(jsontext.Float(math.Float64frombits(binary.LittleEndian.Uint64(b))).String())
		return b[8:]
	case 0x02:
		n := 4 + binary.LittleEndian.Uint32(b)
		quoted, err := jsontext.AppendQuote(nil, b[4:n-1])
		must(t, err)
		out.Write(quoted)
		return b[n:]
	case 0x03, 0x04:
		n := binary.LittleEndian.Uint32(b)
		out.Write(fromBSON(t, b[:n], kind == 0x04))
		return b[n:]
	case 0x08:
		fmt.Fprint(out, b[0] == 1)
		return b[1:]
	case 0x0a:
		out.WriteString("null")
		return b
	case 0x10:
		fmt.Fprint(out, int32(binary.LittleEndian.Uint32(b)))
		return b[4:]
	case 0x12:
		fmt.Fprint(out, int64(binary.LittleEndian.Uint64(b)))
		return b[8:]
	}
	t.Fatalf("element of type %#x", kind)
	return nil
}

var userBooks = []syncstream.Definition{{Name: "user_books", Priority: 1}}

func newStreams(s *store, definitions ...syncstream.Definition) *syncstream.Streams {
	if len(definitions) == 0 {
		definitions = userBooks
	}
	return syncstream.New(syncstream.Config{
		Store: s, Changes: s, Definitions: definitions, Max: 5, MaxPerUser: 3, Now: time.Now,
	})
}

// listen opens a stream of a device, which lasts as long as ctx. Why it ended comes when it has.
func listen(ctx context.Context, t *testing.T, s *syncstream.Streams, userID string, r syncstream.Request, d *device) <-chan error {
	t.Helper()
	if r.Expires.IsZero() {
		r.Expires = time.Now().Add(time.Hour)
	}
	stream, err := s.Open(userID)
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		defer stream.Close()
		ended <- stream.Run(ctx, &r, d)
	}()
	return ended
}
