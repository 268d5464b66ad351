package papyrus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/library"
)

const (
	bookID   = "83f2b1c0-6c3e-4d0a-9a39-3f0f6f1f7a10"
	noUpload = `{"error":{"code":"VALIDATION_ERROR","message":"The body must be one JSON object with a batch, which is an array","details":{"fields":[]}}}`
)

// operation is an element of a batch.
func operation(opID, op, id, data string) string {
	return `{"op_id":` + opID + `,"op":"` + op + `","type":"books","id":"` + id + `","tx_id":22,"data":` + data + `,"metadata":null,"old":null}`
}

// upload sends the elements of a batch.
func (r rig) upload(g grant, elements ...string) *httptest.ResponseRecorder {
	return r.post("/sync/powersync-upload", `{"batch":[`+strings.Join(elements, ",")+`]}`, g.Access)
}

// books returns the user's books as devices get them.
func (r rig) books(t *testing.T, g grant) []map[string]any {
	t.Helper()
	var export struct{ Books []map[string]any }
	must(t, json.Unmarshal(r.call("GET", "/users/me/export", ``, g.Access).Body.Bytes(), &export))
	return export.Books
}

func TestUpload(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a new book", `{"batch":[` + operation("11", "PUT", bookID, `{"title":"Book"}`) + `]}`, 200, `{"applied_count":1}`},
		{"the same again", `{"batch":[` + operation("11", "PUT", bookID, `{"title":"Book"}`) + `]}`, 200, `{"applied_count":1}`},
		{
			"what cannot be used", `{"batch":[` + operation("12", "PATCH", bookID, `{"page_count":9223372036854775807,"shelf":"top"}`) + `]}`, 200,
			`{"applied_count":1,"warnings":[{"op_id":12,"field":"shelf","message":"is not known to this server"},{"op_id":12,"field":"page_count","message":"must be a whole number of 32 bits"}]}`,
		},
		{"a change of no book", `{"batch":[` + operation("13", "PATCH", "00000000-0000-4000-8000-000000000000", `{"title":"Book"}`) + `]}`, 200, `{"applied_count":0}`},
		{
			"an unknown table", `{"batch":[{"op_id":14,"op":"PUT","type":"pets","id":"` + bookID + `","data":{}}]}`, 200,
			`{"applied_count":0,"rejected":[{"op_id":14,"id":"` + bookID + `","code":"UNKNOWN_TABLE","message":"There is no such table"}]}`,
		},
		{"an empty batch", `{"batch":[]}`, 200, `{"applied_count":0}`},
		{"no batch", `{}`, 422, noUpload},
		{"a batch that is no array", `{"batch":{}}`, 422, noUpload},
		{"no JSON", `batch`, 422, noUpload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.post("/sync/powersync-upload", tt.body, g.Access)
			check(t, w, tt.status, tt.want)
			checkNoStore(t, w)
		})
	}
	check(t, r.post("/sync/powersync-upload", `{"batch":[]}`, ""), 401, noToken)
	check(t, r.post("/sync/powersync-upload", `{"batch":[]}`, "x"), 401, badToken)
	must(t, r.db.DeleteUser(t.Context(), g.User.ID, audit.New(t.Context(), noon, audit.Deleted, g.User.ID)))
	check(t, r.upload(g, operation("15", "PUT", bookID, `{}`)), 401, sessionEnded)
}

// TestUploadOfPoison sends what real books hold to a real store.
func TestUploadOfPoison(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	data := map[string]any{
		"title": "\x00Zoë\x00 🔑 李", "language": "Brazilian Portuguese, ab", "isbn": strings.Repeat("978-1", 9), "author": strings.Repeat("ö", 2000),
		"page_count": 1 << 60, "current_position": "NaN", "rating": 4.0, "is_favorite": true, "description": strings.Repeat("d", 1<<20),
		"co_authors": []string{"\x00Ann", "😀"}, "custom_metadata": `{"b":1.50,"a":{"\u0000":-0}}`, "added_at": "2020-02-29 23:59:59.5+02:00", "publisher": nil,
	}
	want := `{"applied_count":1,"warnings":[{"op_id":1,"field":"page_count","message":"must be a whole number of 32 bits"},{"op_id":1,"field":"current_position","message":"must be a finite number"}]}`
	check(t, r.upload(g, operation("1", "PUT", bookID, object(data))), 200, want)
	kept := map[string]any{
		"id": bookID, "book_id": bookID, "owner_user_id": g.User.ID, "title": "Zoë 🔑 李", "language": "Brazilian Portuguese, ab",
		"isbn": strings.Repeat("978-1", 9), "author": strings.Repeat("ö", 2000), "rating": 4.0, "is_favorite": 1.0, "description": strings.Repeat("d", 1<<20),
		"co_authors": `["Ann", "😀"]`, "custom_metadata": `{"a": {"": 0}, "b": 1.50}`, "added_at": "2020-02-29T21:59:59.500000Z",
		"updated_at": "2026-03-20T12:00:00.000000Z",
	}
	for _, c := range library.Books.Columns {
		if _, has := kept[c.Name]; !has {
			kept[c.Name] = nil
		}
	}
	if diff := cmp.Diff([]map[string]any{kept}, r.books(t, g)); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

func TestLongUploads(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	for _, n := range []int{500, 1000} { // far over the limit of other bodies, and beyond what is a small upload
		elements := make([]string, n)
		for i := range elements {
			elements[i] = operation(fmt.Sprint(n+i), "PUT", fmt.Sprintf("00000000-0000-4000-8000-%012d", i), fmt.Sprintf(`{"title":"%*d"}`, n, n))
		}
		check(t, r.upload(g, elements...), 200, fmt.Sprintf(`{"applied_count":%d}`, n))

		chunked := httptest.NewRequest(http.MethodPost, "/v1/sync/powersync-upload", strings.NewReader(`{"batch":[`+strings.Join(elements, ",")+`]}`))
		chunked.ContentLength = -1
		chunked.Header.Set("Authorization", "Bearer "+g.Access)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, chunked)
		check(t, w, 200, fmt.Sprintf(`{"applied_count":%d}`, n))
	}
	if n := len(r.books(t, g)); n != 1000 {
		t.Errorf("%d books", n)
	}
}

func TestUploadOverTheSize(t *testing.T) {
	r := newRig(t)
	r = r.with(func(c *papyrus.Config) {
		c.Uploads = library.NewUploader(library.Config{Store: r.db, MaxBody: 1000, Now: r.clock.now, Log: c.Options.Log})
	})
	g := r.mustRegister(t, email)
	check(t, r.upload(g, operation("11", "PUT", bookID, `{"title":"`+strings.Repeat("a", 1000)+`"}`)), 200,
		`{"applied_count":0,"rejected":[{"op_id":11,"id":"`+bookID+`","code":"PAYLOAD_TOO_LARGE","message":"The transaction has more than 1000 bytes"}]}`)
}

func TestAnUploadThatBreaksOff(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	req := httptest.NewRequest(http.MethodPost, "/v1/sync/powersync-upload", io.MultiReader(strings.NewReader(`{"batch":[`), iotest.ErrReader(io.ErrUnexpectedEOF)))
	req.Header.Set("Authorization", "Bearer "+g.Access)
	w := httptest.NewRecorder()
	r.api.ServeHTTP(w, req)
	check(t, w, 503, refused("SERVICE_UNAVAILABLE", "the body did not arrive in time, or not whole, try again"))
	if got := w.Header().Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
}

// outage is a Store that is down.
type outage struct{ library.Store }

func (outage) Upload(context.Context, library.Intake, func([]library.State) (library.Decision, error)) ([]byte, error) {
	return nil, io.ErrClosedPipe
}

func TestUploadsAreCounted(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	metrics := prometheus.NewRegistry()
	c := r.config
	c.Options.Metrics = metrics
	r.Handler = papyrus.New(c)
	r.upload(g, operation("1", "PUT", bookID, `{}`))
	r.upload(g, operation("1", "PUT", bookID, `{}`))
	r.upload(g, `5`)
	r.post("/sync/powersync-upload", `5`, g.Access)
	c.Options.Metrics = prometheus.WrapRegistererWithPrefix("down_", metrics)
	c.Uploads = library.NewUploader(library.Config{Store: outage{}, Now: r.clock.now, Log: c.Options.Log})
	r.Handler = papyrus.New(c)
	r.upload(g, operation("1", "PUT", bookID, `{}`))

	got := map[string]float64{}
	families, err := metrics.Gather()
	must(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if strings.HasSuffix(f.GetName(), "provisioner_sync_uploads_total") && m.GetCounter().GetValue() > 0 {
				got[m.GetLabel()[0].GetValue()] += m.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"applied": 1, "repeated": 1, "rejected": 1, "malformed": 1, "failed": 1}, got); diff != "" {
		t.Errorf("uploads (-want +got):\n%s", diff)
	}
}

// connection is an answer whose connection notes its deadlines.
type connection struct {
	*httptest.ResponseRecorder
	reads, writes []time.Time
}

func (c *connection) SetReadDeadline(at time.Time) error {
	c.reads = append(c.reads, at)
	return nil
}

func (c *connection) SetWriteDeadline(at time.Time) error {
	c.writes = append(c.writes, at)
	return nil
}

// TestASlowUploadHasTime: the more has come, the longer may the rest take, and then the answer.
func TestASlowUploadHasTime(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	body := `{"batch":[` + operation("1", "PUT", bookID, `{}`) + strings.Repeat(" ", 1<<20) + `]}`
	req := httptest.NewRequest(http.MethodPost, "/v1/sync/powersync-upload", strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+g.Access)
	w := &connection{ResponseRecorder: httptest.NewRecorder()}
	begun := time.Now()
	r.api.ServeHTTP(w, req)
	check(t, w.ResponseRecorder, 200, `{"applied_count":1}`)

	last := len(w.reads) - 1
	if last < 1 || w.reads[0].Before(begun.Add(15*time.Second)) || !w.reads[last].IsZero() {
		t.Fatalf("deadlines %v", w.reads)
	}
	if longest := slices.MaxFunc(w.reads, time.Time.Compare).Sub(w.reads[0]); longest < 30*time.Second || longest > 70*time.Second {
		t.Errorf("a mebibyte may take %s more", longest)
	}
	if len(w.writes) != 1 || w.writes[0].Before(begun.Add(30*time.Second)) {
		t.Errorf("deadlines of the answer %v", w.writes)
	}
}

func TestDeadLetters(t *testing.T) {
	r := newRig(t)
	theirs := r.mustRegister(t, "stranger@example.com")
	check(t, r.upload(theirs, operation("1", "PUT", bookID, `{"title":"Theirs"}`)), 200, `{"applied_count":1}`)
	g := r.mustRegister(t, email)
	none := `{"dead_letters":[],"next_cursor":null}`
	check(t, r.call("GET", "/sync/dead-letters", ``, g.Access), 200, none)

	element := operation("11", "PUT", bookID, `{"title":"<Mine>"}`)
	why := `[{"op_id":11,"id":"` + bookID + `","code":"FORBIDDEN","message":"The row is another user's"}]`
	check(t, r.upload(g, element), 200, `{"applied_count":0,"rejected":`+why+`}`)

	w := r.call("GET", "/sync/dead-letters", ``, g.Access)
	var page struct {
		Letters []struct{ ID string } `json:"dead_letters"`
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &page))
	id := page.Letters[0].ID
	size := len(`{"batch":[]}`) + len(element)
	head := fmt.Sprintf(`{"id":"%s","received_at":"2026-03-20T12:00:00Z","size":%d,"whole":true,"rejected":%s`, id, size, why)
	check(t, w, 200, `{"dead_letters":[`+head+`}],"next_cursor":null}`)
	checkNoStore(t, w)
	body := `{"batch":[` + strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(element) + `]}`
	w = r.call("GET", "/sync/dead-letters/"+id, ``, g.Access)
	check(t, w, 200, head+`,"body":`+body+`}`)
	checkNoStore(t, w)

	unknown := refused("NOT_FOUND", "There is no such dead letter")
	check(t, r.call("GET", "/sync/dead-letters/"+id, ``, theirs.Access), 404, unknown)
	check(t, r.call("GET", "/sync/dead-letters", ``, theirs.Access), 200, none)
	for _, other := range []string{"1", bookID, "%00", "%27"} {
		check(t, r.call("GET", "/sync/dead-letters/"+other, ``, g.Access), 404, unknown)
	}
	for _, cursor := range []string{"1", bookID, "%00"} {
		check(t, r.call("GET", "/sync/dead-letters?cursor="+cursor, ``, g.Access), 422, invalid("cursor", "must be the next_cursor of a page of these dead letters"))
	}
	check(t, r.call("GET", "/sync/dead-letters?cursor="+id, ``, theirs.Access), 422, invalid("cursor", "must be the next_cursor of a page of these dead letters"))
	check(t, r.call("GET", "/sync/dead-letters", ``, ""), 401, noToken)
	check(t, r.call("GET", "/sync/dead-letters/"+id, ``, ""), 401, noToken)
}

func TestDeadLettersThatAreNoJSON(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	for _, tt := range []struct{ name, element, want string }{
		{"broken UTF-8", "\"\xff\"", `{"batch":["` + "\ufffd" + `"]}`},
		{"only its head", `"` + strings.Repeat("a", 5<<20) + `"`, `{"batch":["` + strings.Repeat("a", 64<<10-len(`{"batch":["`))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.Time = r.clock.Add(time.Minute)
			r.upload(g, tt.element)
			var export struct {
				Letters []struct {
					Body  string
					Whole bool
				} `json:"dead_letters"`
			}
			must(t, json.Unmarshal(r.call("GET", "/users/me/export", ``, g.Access).Body.Bytes(), &export))
			if got := export.Letters[0].Body; got != tt.want {
				t.Errorf("body %.100s, %d bytes", got, len(got))
			}
		})
	}
}

func TestDeadLetterPages(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	for i := range 51 {
		r.clock.Time = noon.Add(time.Duration(i) * time.Second)
		r.upload(g, fmt.Sprint(i))
	}
	seen := map[string]bool{}
	var lengths []int
	for cursor := ""; ; {
		var page struct {
			Letters []struct{ ID string } `json:"dead_letters"`
			Next    string                `json:"next_cursor"`
		}
		must(t, json.Unmarshal(r.call("GET", "/sync/dead-letters?cursor="+cursor, ``, g.Access).Body.Bytes(), &page))
		for _, l := range page.Letters {
			seen[l.ID] = true
		}
		lengths = append(lengths, len(page.Letters))
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 51 || !slices.Equal(lengths, []int{50, 1}) {
		t.Errorf("%d dead letters in pages of %v", len(seen), lengths)
	}
}
