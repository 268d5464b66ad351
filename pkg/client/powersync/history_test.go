//go:build !race

package powersync_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// TestMain runs the tests, or, as one of their processes, a device.
func TestMain(m *testing.M) {
	if os.Getenv(playVariable) != "" {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const playVariable = "POWERSYNC_TEST_PLAY"

const (
	histories        = 1000
	historyUsers     = 4  // that play at the same time
	historiesOfUser  = 10 // then another takes over, with no books
	historyWrites    = 12 // of each process, at most
	compactEvery     = 25 // histories
	crashServerEvery = 100
)

var again = flag.Uint64("history", 0, "the seed of a history that is played all the time, instead of another each time")

// TestHistories plays random histories of devices: each is a directory that several processes use, one after the other, of which all but
// the last are killed between two statements, while streams break at any byte, uploads and answers are lost, tokens are refused or end,
// another device writes, the server is killed and compacts. After each the device has what the server has, and nothing that it kept is lost.
// What a seed decides is the same each time, and when something happens is not.
func TestHistories(t *testing.T) {
	p := &server{Process: program.Start(t, "all", nil)}
	first := rand.Uint64()
	var next, kills atomic.Int64
	var playing sync.WaitGroup
	for range historyUsers {
		playing.Go(func() {
			var owner *account
			for n := next.Add(1); n <= histories && !t.Failed(); n = next.Add(1) {
				if owner == nil || n%historiesOfUser == 0 {
					p.keep(func() { owner = register(t, p.URL("papyrus")) })
				}
				h := &history{t: t, owner: owner, seed: cmp.Or(*again, first+uint64(n)), server: p, kills: &kills}
				h.play()
				switch {
				case n%crashServerEvery == 0:
					p.crash()
				case n%compactEvery == 0:
					p.Run("sync", "compact", "--void", "1")
				}
			}
		})
	}
	playing.Wait()
	t.Logf("%d processes were killed", kills.Load())
}

// server is killed now and then, but not while a history begins or ends.
type server struct {
	*program.Process
	needed sync.RWMutex
}

func (s *server) keep(work func()) {
	s.needed.RLock()
	defer s.needed.RUnlock()
	work()
}

func (s *server) crash() {
	s.needed.Lock()
	defer s.needed.Unlock()
	s.Crash()
}

// history is one device, and what is known of what it did.
type history struct {
	t      *testing.T
	owner  *account
	seed   uint64
	server *server
	kills  *atomic.Int64

	titles  map[string][]string // by book: those that it may have, the last of which it surely was to get; none if it was deleted
	unsure  map[string]bool     // books of the last write of a killed process
	deleted map[string]bool
}

// performance is what a process is to do, as JSON on its standard input.
type performance struct {
	Dir, Papyrus, Access string
	Seed                 uint64
	KillAt               int64 // the statement at which it is killed, if it has not done by then; 0 for one that only syncs, and prints its books
}

func (h *history) play() {
	h.titles, h.unsure, h.deleted = map[string][]string{}, map[string]bool{}, map[string]bool{}
	random := rand.New(rand.NewPCG(h.seed, 0))
	show := performance{Dir: h.t.TempDir(), Papyrus: h.owner.papyrus, Access: h.owner.access}
	for run := range uint64(1 + random.IntN(3)) {
		p := show
		p.Seed, p.KillAt = h.seed+run<<32, 1+random.Int64N(1<<random.IntN(10))
		h.run(p)
		h.server.keep(func() { h.elsewhere(random) })
	}
	h.server.keep(func() { h.check(h.run(show)) })
}

func (h *history) errorf(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf("history %d (-history %[1]d plays it again): %s", h.seed, fmt.Sprintf(format, args...))
}

// run runs a process, and returns what it printed but for what it wrote.
func (h *history) run(p performance) string {
	in, err := json.Marshal(p)
	if err != nil {
		h.errorf("%v", err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), playVariable+"=1")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	err = cmd.Run()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if killed := ok && status.Signaled() && status.Signal() == syscall.SIGKILL; killed {
		h.kills.Add(1)
	} else if err != nil || p.KillAt > 0 {
		h.errorf("not killed, %v\n%s", err, errs.String())
	}
	var rest strings.Builder
	for line := range strings.Lines(out.String()) {
		if !h.note(strings.Fields(line)) {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// note keeps what a process was to write, "? title id title" or "? delete id", and that it has, "! id".
func (h *history) note(words []string) bool {
	switch {
	case len(words) == 4 && words[0] == "?":
		h.titles[words[2]] = append(h.titles[words[2]], words[3])
		h.unsure[words[2]] = true
	case len(words) == 3 && words[0] == "?":
		h.deleted[words[2]] = true
		h.unsure[words[2]] = true
	case len(words) == 2 && words[0] == "!":
		if !h.deleted[words[1]] {
			h.titles[words[1]] = h.titles[words[1]][len(h.titles[words[1]])-1:]
		}
		h.unsure[words[1]] = false
	default:
		return false
	}
	return true
}

// elsewhere writes as another device of the user.
func (h *history) elsewhere(random *rand.Rand) {
	ids := append(slices.Sorted(maps.Keys(h.titles)), uuid.NewString())
	id := ids[random.IntN(len(ids))]
	op := `"PATCH"`
	if id == ids[len(ids)-1] {
		op = `"PUT"`
	}
	body := fmt.Sprintf(`{"batch":[{"op_id":%d,"tx_id":1,"op":%s,"type":"books","id":%q,"data":{"author":"%d"}}]}`, random.Int32(), op, id, random.Int32())
	if _, err := h.owner.post(h.t.Context(), "/v1/sync/powersync-upload", []byte(body)); err != nil {
		h.errorf("%v", err)
	}
}

// check compares what the device shows with what the server has, and with what the processes wrote.
func (h *history) check(shown string) {
	var books struct {
		Books []struct {
			ID     string  `json:"book_id"`
			Title  string  `json:"title"`
			Author *string `json:"author"`
		} `json:"books"`
	}
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.owner.papyrus+"/v1/users/me/export", nil)
	if err != nil {
		h.errorf("%v", err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+h.owner.access)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.errorf("%v", err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&books); err != nil {
		h.errorf("%v", err)
	}
	have := []string{}
	byID := map[string]string{}
	for _, b := range books.Books {
		byID[b.ID] = b.Title
		line, _ := json.Marshal([]any{b.ID, b.Title, b.Author})
		have = append(have, string(line))
	}
	slices.Sort(have)
	if diff := gocmp.Diff(have, strings.FieldsFunc(shown, func(r rune) bool { return r == '\n' })); diff != "" {
		h.errorf("the device has not what the server has (-server +device):\n%s", diff)
	}
	for id, titles := range h.titles {
		title, there := byID[id]
		switch {
		case h.deleted[id] && !h.unsure[id] && there:
			h.errorf("book %s is back", id)
		case !h.deleted[id] && (!there && (!h.unsure[id] || len(titles) > 1) || there && !slices.Contains(titles, title)):
			h.errorf("book %s is %q (%t), not one of %q", id, title, there, titles)
		}
	}
}

// play is one process of a device.
func play() error {
	var p performance
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	player := &player{account: account{papyrus: p.Papyrus, access: p.Access}}
	options := []powersync.Option{quick(), powersync.WithContentChecksums()}
	if p.KillAt > 0 {
		player.random = rand.New(rand.NewPCG(p.Seed, 1))
		options = append(options, powersync.WithHTTPClient(&http.Client{Transport: player}),
			powersync.WithDriver(func(c driver.Connector) driver.Connector { return steppedConnector{c, (&killer{at: p.KillAt}).step} }))
	}
	if p.Seed%2 == 1 {
		options = append(options, powersync.WithLines())
	}
	db, err := powersync.Open(ctx, filepath.Join(p.Dir, "device.db"), schema, options...)
	if err != nil {
		return err
	}
	db.Connect(player)
	if p.KillAt > 0 {
		if err := player.write(ctx, db); err != nil {
			return err
		}
		die()
	}
	if err := db.AwaitSynced(ctx); err != nil {
		return err
	}
	return db.Read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT json_array(id, title, author) FROM books ORDER BY 1`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				return err
			}
			fmt.Println(row)
		}
		return rows.Err()
	})
}

// player is an account behind a bad network.
type player struct {
	account
	mu     sync.Mutex
	random *rand.Rand // nil where the network is good
}

// chance is true once in n.
func (p *player) chance(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random != nil && p.random.IntN(n) == 0
}

func (p *player) write(ctx context.Context, db *powersync.DB) error {
	var mine []string
	random := rand.New(rand.NewPCG(p.random.Uint64(), 2))
	for n := range random.IntN(historyWrites) {
		if random.IntN(4) == 0 { // not a test of how long it takes: some writes find more of the sync done
			short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(60))*time.Millisecond)
			_ = db.AwaitSynced(short)
			cancel()
		}
		statement, id, title := `INSERT INTO books (title, id) VALUES (?, ?)`, uuid.NewString(), fmt.Sprint(random.Uint32(), "-", n)
		if len(mine) > 0 && random.IntN(2) == 0 {
			statement, id = `UPDATE books SET title = ? WHERE id = ?`, mine[random.IntN(len(mine))]
		}
		intent := fmt.Sprint("? title ", id, " ", title)
		if len(mine) > 0 && random.IntN(5) == 0 {
			at := random.IntN(len(mine))
			statement, id = `DELETE FROM books WHERE ? <> '' AND id = ?`, mine[at]
			mine = slices.Delete(mine, at, at+1)
			intent = fmt.Sprint("? delete ", id)
		} else if strings.HasPrefix(statement, "INSERT") {
			mine = append(mine, id)
		}
		fmt.Println(intent)
		err := db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement, title, id)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Println("!", id)
	}
	return nil
}

func (p *player) FetchCredentials(ctx context.Context) (powersync.Credentials, error) {
	credentials, err := p.account.FetchCredentials(ctx)
	if p.chance(5) {
		credentials.Token = "eyJhbGciOiJSUzI1NiJ9.expired.token"
	}
	return credentials, err
}

func (p *player) UploadData(ctx context.Context, db *powersync.DB) error {
	if p.chance(6) {
		return errLost
	}
	if p.chance(6) { // the server has it, and the device does not hear of it
		if next, _, err := db.NextTransaction(ctx); err == nil {
			body, _ := json.Marshal(map[string]any{"batch": batchOf(next)})
			_, _ = p.post(ctx, "/v1/sync/powersync-upload", body)
		}
		return errLost
	}
	return p.account.UploadData(ctx, db)
}

var errLost = errors.New("lost by the network")

// RoundTrip implements [http.RoundTripper]: half of the streams break, at any byte, and a third ends when there is another token.
func (p *player) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.chance(10) {
		return nil, errLost
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if line, ok := tokenEnds[resp.Header.Get("Content-Type")]; ok && p.chance(3) {
		resp.Body = &prefixed{io.MultiReader(strings.NewReader(line), resp.Body), resp.Body}
	}
	if p.chance(2) {
		p.mu.Lock()
		resp.Body = &breaking{resp.Body, p.random.IntN(1 << p.random.IntN(18))}
		p.mu.Unlock()
	}
	return resp, nil
}

// tokenEnds says that a token is good for another 20 seconds, in the encoding of a stream.
var tokenEnds = map[string]string{
	"application/x-ndjson":                  `{"token_expires_in":20}` + "\n",
	"application/vnd.powersync.bson-stream": "\x1b\x00\x00\x00\x10token_expires_in\x00\x14\x00\x00\x00\x00",
}

// prefixed is a body with something before it.
type prefixed struct {
	io.Reader
	io.Closer
}

// breaking is a body that breaks after some bytes.
type breaking struct {
	io.ReadCloser
	left int
}

func (b *breaking) Read(to []byte) (int, error) {
	if b.left == 0 {
		return 0, errLost
	}
	n, err := b.ReadCloser.Read(to[:min(len(to), b.left)])
	b.left -= n
	return n, err
}

// killer kills this process at a statement.
type killer struct{ at, count int64 }

func (k *killer) step(string) {
	if atomic.AddInt64(&k.count, 1) == k.at {
		die()
	}
}

// die ends this process as kill -9 does.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}
