package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/test/device"
	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/wire"
)

// TestHostileUploads uploads batches of real books that were mangled, 100,000 mutations in all. No answer is a 5xx, 422 is for what
// is no batch at all, and after each the device syncs on.
func TestHostileUploads(t *testing.T) {
	const uploads, mutations, users = 5000, 20, 8
	p := start(t, "papyrus", program.Settings{"LOG_LEVEL": "warn"})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), 4*program.Patience)
	defer cancel()

	readers := make([]*reader, users)
	for n := range readers {
		readers[n] = register(t, p.URL("papyrus"))
	}
	var statuses [600]atomic.Int64
	wire.Each(users, users, func(n int) {
		r := readers[n]
		d := device.New(device.Config{URL: p.URL("papyrus"), AccessToken: r.access, OnToken: keepPowerSyncToken, Transport: network})
		d.Online(ctx)
		defer d.Offline()
		m := mangler{random: rand.New(rand.NewPCG(seed, uint64(n)))}
		canary := uuid.NewString()
		d.Write(func(tx *device.Tx) { tx.Put(canary, device.Row{"title": "canary"}) })
		for i := range uploads / users {
			body := m.mangle(realBatch(m.random, i), mutations)
			a, err := r.uploadUndocumented(p.URL("papyrus"), body)
			if err != nil {
				t.Errorf("no answer: %v to %.500s", err, body)
				return
			}
			statuses[a.Status].Add(1)
			if want := wantUploadStatus(body); a.Status != want {
				t.Errorf("%v, want %d, to %.2000s", a, want, body)
				return
			}
			d.Write(func(tx *device.Tx) { tx.Patch(canary, device.Row{"subtitle": strconv.Itoa(i)}) })
			if err := d.AwaitSettled(ctx); err != nil || d.Rows()[canary]["subtitle"] != strconv.Itoa(i) {
				t.Errorf("the device stands still: %v after %.2000s", err, body)
				return
			}
		}
		if faults := d.Faults(); len(faults) > 0 {
			t.Error(faults)
		}
	})
	t.Logf("%d uploads are 200, %d are 422", statuses[http.StatusOK].Load(), statuses[http.StatusUnprocessableEntity].Load())
}

// uploadUndocumented uploads what the API's document need not describe.
func (r *reader) uploadUndocumented(papyrus, body string) (wire.Answer, error) {
	request, err := http.NewRequest(http.MethodPost, papyrus+"/v1/sync/powersync-upload", strings.NewReader(body))
	if err != nil {
		return wire.Answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+r.accessToken)
	resp, err := network.RoundTrip(request)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Read(resp, "a hostile upload")
}

// wantUploadStatus is 422 for what is no batch at all, which no device sends.
func wantUploadStatus(body string) int {
	var request map[string]json.RawMessage
	var batch []json.RawMessage
	if json.Unmarshal([]byte(body), &request) != nil || json.Unmarshal(request["batch"], &batch) != nil || batch == nil {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// realBatch is what a device uploads: new books, edits and deletes.
func realBatch(random *rand.Rand, n int) map[string]any {
	ids := []string{uuid.NewString(), uuid.NewString()}
	book := func(id string) map[string]any {
		return map[string]any{
			"title": "Die Verwandlung 🪳", "subtitle": nil, "author": strings.Repeat("Kafka, ", random.IntN(300)), "co_authors": `["Max Brod"]`,
			"isbn": "978-3-15-009900-5 (kart.); 978-3-15-960016-1 (E-Book)", "isbn13": "9783150099001", "language": "German; Middle High (ca.1050",
			"page_count": 201, "description": "Als Gregor Samsa…", "reading_status": "inProgress", "current_page": 12, "current_position": 0.25,
			"current_cfi": "epubcfi(/6/4!/4/2)", "is_favorite": 1, "rating": 5, "custom_metadata": `{"shelf":"B","tags":["a","b"],"n":1e3}`,
			"added_at": "2026-01-02T03:04:05.678Z", "updated_at": "2026-01-02 03:04:05", "owner_user_id": id,
		}
	}
	op := func(i int, op, id string, data any) any {
		return map[string]any{"op_id": n*10 + i, "op": op, "type": "books", "id": id, "tx_id": n, "data": data, "metadata": nil, "old": nil}
	}
	return map[string]any{"batch": []any{
		op(1, "PUT", ids[0], book(ids[0])), op(2, "PATCH", ids[0], map[string]any{"rating": 3, "custom_metadata": "{}"}),
		op(3, "PUT", ids[1], book(ids[1])), op(4, "DELETE", ids[1], nil),
	}}
}

// mangler spoils batches.
type mangler struct {
	random *rand.Rand
}

// mangle makes so many changes to a batch, most of them to its values, and returns its JSON; one in ten is spoiled as text too.
func (m mangler) mangle(batch map[string]any, mutations int) string {
	for range mutations {
		m.spoil(batch, 0)
	}
	text, err := json.Marshal(batch)
	if err != nil {
		panic(err)
	}
	body := string(text)
	switch m.random.IntN(10) {
	case 0:
		at := m.random.IntN(len(body))
		body = body[:at] + m.oddText() + body[at:]
	case 1:
		body = strings.Replace(body, `"title"`, `"title":"\ud800","title"`, 1)
	}
	return body
}

// spoil changes one value somewhere below v.
func (m mangler) spoil(v any, depth int) {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if len(names) == 0 {
			v["x"] = m.odd()
			return
		}
		name := names[m.random.IntN(len(names))]
		m.spoilMember(v[name], depth, func(odd any) { v[name] = odd }, func() { delete(v, name); v[m.oddText()] = m.odd() })
	case []any:
		if len(v) > 0 {
			i := m.random.IntN(len(v))
			m.spoilMember(v[i], depth, func(odd any) { v[i] = odd }, func() { v[i] = v[m.random.IntN(len(v))] })
		}
	}
}

// spoilMember goes below a value, sets another, or does what its parent can do to it. The outermost mostly stay.
func (m mangler) spoilMember(value any, depth int, set func(any), other func()) {
	chance := m.random.IntN(100)
	switch value.(type) {
	case map[string]any, []any:
		if chance < 97+max(0, 2-depth) {
			m.spoil(value, depth+1)
			return
		}
	}
	if chance%5 == 0 {
		other()
		return
	}
	set(m.odd())
}

// odd returns a value as nobody expects it.
func (m mangler) odd() any {
	odd := []any{
		nil, true, -1, 0, 1 << 40, 1e308, 0.1, json.Number("1e999"), json.Number("123456789012345678901234567890"), json.Number("-0"),
		"", "NaN", "Infinity", "true", "12", "0x10", "null", "[]", "{}", "{", `["a",1]`, `{"a":{"b":[1.50,1e-400,1E+400]}}`,
		"2026-13-40T99:99:99Z", "0000-00-00", "9999-12-31T23:59:59.999999999+14:00", "\x00", "a\x00b", "\u202e🪳\U0010ffff", "' OR 1=1 --",
		uuid.Nil.String(), strings.ToUpper(uuid.NewString()), "{" + uuid.NewString() + "}", "PUT", "patch", "DELETE", "UPSERT", "users", "BOOKS",
		strings.Repeat("x", 70_000),
		[]any{},
		[]any{nil, 1, "a"},
		map[string]any{},
		map[string]any{"\x00": "\x00"},
		json.RawMessage(strings.Repeat("[", 200) + strings.Repeat("]", 200)),
	}
	return odd[m.random.IntN(len(odd))]
}

func (m mangler) oddText() string {
	return fmt.Sprint([]any{"", "\x00", "id", "batch", "data", "opData", "op_data", "table", "title", `"`, "}", "é", "\xff", "книга"}[m.random.IntN(14)])
}
