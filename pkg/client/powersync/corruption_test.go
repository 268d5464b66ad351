package powersync_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// TestCorruptedOperations changes one operation of a real stream in each way that the protocol lets a device notice: none is ever shown,
// and the device comes to what the server has.
func TestCorruptedOperations(t *testing.T) {
	papyrus := program.Start(t, "all", nil).URL("papyrus")
	owner := register(t, papyrus)
	source := open(t, t.TempDir(), quick())
	var want []string
	for n := range 20 {
		title := fmt.Sprintf("%03d", n)
		want = append(want, title)
		run(t, source, fmt.Sprintf(`INSERT INTO books (id, title) VALUES (%s, %s)`, quoted(uuid.NewString()), quoted(title)))
	}
	gone := quoted(uuid.NewString())
	run(t, source, `INSERT INTO books (id, title) VALUES (`+gone+`, 'gone')`)
	source.Connect(owner)
	synced(t, source)
	run(t, source, `DELETE FROM books WHERE id = `+gone)
	synced(t, source)

	for name, corrupt := range corruptions {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				c := &corrupting{corrupt: corrupt}
				db := open(t, t.TempDir(), quick(), powersync.WithLines(), powersync.WithContentChecksums(), powersync.WithHTTPClient(&http.Client{Transport: c}))
				db.Connect(owner)
				await(t, func() bool {
					if got := titles(t, db); len(got) > 0 && !cmp.Equal(got, want) {
						t.Fatalf("the device shows %q", got)
					}
					return !db.Status().LastSyncedAt.IsZero()
				})
				if diff := cmp.Diff(want, titles(t, db)); diff != "" {
					t.Errorf("books (-want +got):\n%s", diff)
				}
				if c.streams < 2 {
					t.Errorf("the device has not noticed %s", c.said)
				}
				db.Disconnect()
			}
		})
	}
}

func quoted(text string) string { return "'" + text + "'" }

// corruptions change the operations of a page.
var corruptions = map[string]func(ops []map[string]any) []map[string]any{
	"another checksum": func(ops []map[string]any) []map[string]any {
		op := pick(ops)
		op["checksum"] = op["checksum"].(float64) + 1
		return ops
	},
	"a lost operation": func(ops []map[string]any) []map[string]any {
		at := rand.IntN(len(ops))
		return slices.Delete(ops, at, at+1)
	},
	"all operations lost": func([]map[string]any) []map[string]any { return nil },
	"an operation twice": func(ops []map[string]any) []map[string]any {
		return append(ops, pick(ops))
	},
	"another order": func(ops []map[string]any) []map[string]any {
		at := rand.IntN(len(ops) - 1)
		ops[at], ops[at+1] = ops[at+1], ops[at]
		return ops
	},
	"a byte of a row": func(ops []map[string]any) []map[string]any {
		op := pickKind(ops, "PUT")
		text := []byte(op["data"].(string))
		text[rand.IntN(len(text))] ^= 1
		op["data"] = string(text)
		return ops
	},
	"a row cut off": func(ops []map[string]any) []map[string]any {
		op := pickKind(ops, "PUT")
		op["data"] = op["data"].(string)[:rand.IntN(len(op["data"].(string)))]
		return ops
	},
	"a row of another book": func(ops []map[string]any) []map[string]any {
		op := pickKind(ops, "PUT")
		op["object_id"] = uuid.NewString()
		return ops
	},
	"another table": func(ops []map[string]any) []map[string]any {
		pickKind(ops, "PUT")["object_type"] = "shelves"
		return ops
	},
	"a book gone instead of put": func(ops []map[string]any) []map[string]any {
		op := pickKind(ops, "PUT")
		op["op"], op["data"] = "REMOVE", nil
		return ops
	},
	"another book gone": func(ops []map[string]any) []map[string]any {
		pickKind(ops, "REMOVE")["object_id"] = ops[0]["object_id"]
		return ops
	},
	"all cleared": func(ops []map[string]any) []map[string]any {
		pick(ops[1:])["op"] = "CLEAR" // as the first it would clear nothing
		return ops
	},
}

func pick(ops []map[string]any) map[string]any { return ops[rand.IntN(len(ops))] }

func pickKind(ops []map[string]any, kind string) map[string]any {
	return pick(slices.DeleteFunc(slices.Clone(ops), func(op map[string]any) bool { return op["op"] != kind }))
}

// corrupting is a network that corrupts the first page of operations.
type corrupting struct {
	corrupt func(ops []map[string]any) []map[string]any
	streams int
	said    string
}

// RoundTrip implements [http.RoundTripper].
func (c *corrupting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/sync/stream") {
		return resp, err
	}
	c.streams++
	if c.streams > 1 {
		return resp, nil
	}
	body, pipe := io.Pipe()
	original := resp.Body
	resp.Body = body
	go func() {
		defer func() { _ = original.Close() }()
		lines := bufio.NewReader(original)
		for corrupted := false; ; {
			text, err := lines.ReadBytes('\n')
			if err != nil {
				_ = pipe.CloseWithError(err)
				return
			}
			if !corrupted && strings.HasPrefix(string(text), `{"data"`) {
				text, corrupted = c.rewrite(text), true
			}
			if _, err := pipe.Write(text); err != nil {
				return // the device has left
			}
		}
	}()
	return resp, nil
}

func (c *corrupting) rewrite(text []byte) []byte {
	var line struct {
		Data map[string]any `json:"data"`
	}
	if err := json.Unmarshal(text, &line); err != nil {
		return text
	}
	var ops []map[string]any
	for _, op := range line.Data["data"].([]any) {
		ops = append(ops, op.(map[string]any))
	}
	line.Data["data"] = append([]map[string]any{}, c.corrupt(ops)...)
	text, _ = json.Marshal(line)
	c.said = string(text)
	return append(text, '\n')
}
