package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/test/postgres"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// eachEngine runs a benchmark of a papyrus process on SQLite and on Postgres.
func eachEngine(b *testing.B, run func(b *testing.B, p *program.Process)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { run(b, start(b, "papyrus", program.Settings{"LOG_LEVEL": "warn"})) })
	b.Run("postgres", func(b *testing.B) {
		run(b, start(b, "papyrus", program.Settings{
			"LOG_LEVEL": "warn", "DATABASE_URL": withPassword(b, postgres.NewDatabase(b)), "SEAL_KEY": record.NewSecret("seal key"),
			"REFRESH_TOKEN_KEY": record.NewSecret("refresh token key"), "ACCESS_JWT_PRIVATE_KEY": program.NewAccessKey(b), "PUBLIC_BASE_URL": "https://accounts.example.com",
		}))
	})
}

// BenchmarkIdleStreams reports what a stream that has nothing to say costs in resident memory.
func BenchmarkIdleStreams(b *testing.B) {
	for _, encoding := range []string{"identity", "gzip"} {
		for _, streams := range []int{1000, 5000} {
			b.Run(fmt.Sprintf("%s/%d", encoding, streams), func(b *testing.B) {
				for b.Loop() {
					p := start(b, "papyrus", program.Settings{"LOG_LEVEL": "warn"})
					users := newStreamUsers(b, p, streams/50)
					p.Stop(terminate) // what the registrations took is no part of it
					p.Start()
					before := p.Memory("VmRSS")
					listening := listenAll(b, users, streams, encoding)
					after := p.Memory("VmRSS")
					b.ReportMetric((after-before)/1024, "MiB")
					b.ReportMetric((after-before)/float64(streams), "KiB/stream")
					listening.close()
				}
			})
		}
	}
}

// BenchmarkCommitToDevice reports how long after the answer to an upload another device has the change, alone and with 1,000 streams
// of 100 users of whom somebody commits ten times a second.
func BenchmarkCommitToDevice(b *testing.B) {
	for _, streams := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d streams", streams), func(b *testing.B) {
			eachEngine(b, func(b *testing.B, p *program.Process) {
				b.Helper()
				users := newStreamUsers(b, p, min(streams, 100))
				listening := listenAll(b, users, streams, "identity")
				defer listening.close()
				var fromAnswer, fromRequest []time.Duration
				pace := time.NewTicker(100 * time.Millisecond)
				defer pace.Stop()
				for b.Loop() {
					for i := range 200 {
						<-pace.C
						u := users[i%len(users)]
						sent := time.Now()
						id := u.upload(1)[0]
						answered := time.Now()
						arrived := listening.await(id)
						fromAnswer, fromRequest = append(fromAnswer, arrived.Sub(answered)), append(fromRequest, arrived.Sub(sent))
					}
				}
				reportQuantiles(b, "answer", fromAnswer)
				reportQuantiles(b, "request", fromRequest)
			})
		})
	}
}

// BenchmarkFirstSync reports how long a new device takes for all rows of a library.
func BenchmarkFirstSync(b *testing.B) {
	for _, rows := range []int{20_000, 200_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			eachEngine(b, func(b *testing.B, p *program.Process) {
				b.Helper()
				u := newStreamUsers(b, p, 1)[0]
				for range rows / 1000 {
					u.upload(1000)
				}
				var size int64
				for b.Loop() {
					resp := u.open("identity")
					size = drainUntil(b, resp.Body, `{"checkpoint_complete"`)
					_ = resp.Body.Close()
				}
				b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				b.ReportMetric(float64(size)/(1<<20), "MiB")
			})
		})
	}
}

func drainUntil(b *testing.B, body io.Reader, prefix string) (size int64) {
	b.Helper()
	lines := bufio.NewReaderSize(body, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		size += int64(len(line))
		if strings.HasPrefix(line, prefix) {
			return size
		}
	}
}

func reportQuantiles(b *testing.B, from string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		b.ReportMetric(float64(took[int(q.at*float64(len(took)-1))].Microseconds())/1000, q.name+"-ms-after-"+from)
	}
}

// streamUser is somebody with a library and a PowerSync token.
type streamUser struct {
	*reader
	papyrus, token string
	ops            int
}

func newStreamUsers(b *testing.B, p *program.Process, n int) []*streamUser {
	b.Helper()
	users := make([]*streamUser, n)
	wire.Each(n, 4, func(i int) {
		r := register(b, p.URL("papyrus"))
		token := r.call(http.MethodPost, p.URL("papyrus")+"/v1/auth/powersync-token", "").Member("token")
		keepPowerSyncToken(token)
		users[i] = &streamUser{reader: r, papyrus: p.URL("papyrus"), token: token}
	})
	return users
}

// upload makes so many books, and returns their ids.
func (u *streamUser) upload(books int) []string {
	u.t.Helper()
	ids, batch := make([]string, books), make([]map[string]any, books)
	for i := range books {
		u.ops++
		ids[i] = uuid.NewString()
		batch[i] = map[string]any{"op_id": u.ops, "op": "PUT", "type": "books", "id": ids[i], "tx_id": u.ops, "data": map[string]any{
			"title": "The Metamorphosis", "author": "Franz Kafka", "isbn13": "9783150099001", "language": "German", "page_count": 201,
			"description": "As Gregor Samsa awoke one morning from uneasy dreams he found himself transformed in his bed.", "is_favorite": 1,
		}}
	}
	body, err := json.Marshal(map[string]any{"batch": batch})
	if err != nil {
		u.t.Fatal(err)
	}
	if a := u.call(http.MethodPost, u.papyrus+"/v1/sync/powersync-upload", string(body)); a.Status != http.StatusOK {
		u.t.Fatal(a)
	}
	return ids
}

// open opens a stream.
func (u *streamUser) open(encoding string) *http.Response {
	u.t.Helper()
	body := fmt.Sprintf(`{"buckets":[],"include_checksum":true,"raw_data":true,"client_id":%q}`, uuid.NewString())
	r, err := http.NewRequest(http.MethodPost, u.papyrus+"/sync/stream", strings.NewReader(body))
	if err != nil {
		u.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Token " + u.token, "Content-Type": "application/json", "Accept": "application/x-ndjson", "Accept-Encoding": encoding,
	} {
		r.Header.Set(name, value)
	}
	resp, err := network.RoundTrip(r)
	if err != nil {
		u.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		u.t.Fatalf("%d %s", resp.StatusCode, text)
	}
	return resp
}

// listeners are many open streams.
type listeners struct {
	bodies []io.Closer
	done   sync.WaitGroup

	mu      sync.Mutex
	arrived map[string]time.Time // by the id of a row: when the first stream had it
	changed chan struct{}
}

// listenAll opens streams, of each user as many, and returns when all have their first checkpoint.
func listenAll(b *testing.B, users []*streamUser, streams int, encoding string) *listeners {
	b.Helper()
	l := &listeners{arrived: map[string]time.Time{}, changed: make(chan struct{}), bodies: make([]io.Closer, streams)}
	wire.Each(streams, 8, func(i int) {
		resp := users[i%len(users)].open(encoding)
		l.bodies[i] = resp.Body
		first := make(chan struct{})
		l.done.Go(func() { l.listen(resp.Body, first) })
		<-first
	})
	return l
}

var objectID = []byte(`"object_id":"`)

// listen notes when the rows of a stream arrive. First is closed with its first bytes.
func (l *listeners) listen(body io.Reader, first chan struct{}) {
	buffer := make([]byte, 8<<10)
	for n := 0; ; n++ {
		read, err := body.Read(buffer)
		if n == 0 {
			close(first)
		}
		if err != nil {
			return
		}
		now := time.Now()
		for rest := buffer[:read]; ; {
			_, after, found := bytes.Cut(rest, objectID)
			if !found || len(after) < 36 {
				break
			}
			l.note(string(after[:36]), now)
			rest = after
		}
	}
}

func (l *listeners) note(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.arrived[id]; !known {
		l.arrived[id] = at
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// await returns when a row had arrived.
func (l *listeners) await(id string) time.Time {
	for {
		l.mu.Lock()
		at, arrived := l.arrived[id]
		changed := l.changed
		l.mu.Unlock()
		if arrived {
			return at
		}
		<-changed
	}
}

func (l *listeners) close() {
	for _, body := range l.bodies {
		_ = body.Close()
	}
	l.done.Wait()
}
